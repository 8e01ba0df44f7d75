/**
 * JSON as it was sent: numbers keep every digit, and values are laid out to be read.
 */

const MANY_DIGITS = /\d{16}/;

/** Parses; a number that a double cannot hold stays as the digits that were sent. */
export function parseJson(text) {
  if (!MANY_DIGITS.test(text) || !JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) => {
    if (typeof value !== "number" || !context || Number.isSafeInteger(value)) return value;
    return String(value) === context.source ? value : JSON.rawJSON(context.source);
  });
}

/**
 * Parses what a person typed.
 *
 * @param {string} text
 * @returns {{value: any, error?: undefined} | {error: string, value?: undefined}} the error says
 *   where, as line and column
 */
export function parseTyped(text) {
  try {
    return { value: parseJson(text) };
  } catch (fault) {
    if (text.trim() === "") return { error: "Empty. Write a JSON value, such as {} or \"text\"." };
    const message = fault.message.replace(/^JSON\.parse: /, "").replace(/ in JSON at .*$/s, "")
      .replace(/ at (position|line) .*$/s, "").replace(/, (\.\.\.)?".*is not valid JSON$/s, "");
    return { error: `Not JSON${whereOf(fault.message, text)}: ${message}.` };
  }
}

function whereOf(message, text) {
  const named = /line (\d+) column (\d+)/.exec(message);
  if (named) return `, line ${named[1]}, column ${named[2]}`;
  const position = /position (\d+)/.exec(message);
  if (!position) return "";
  const before = text.slice(0, Number(position[1])).split("\n");
  return `, line ${before.length}, column ${before.at(-1).length + 1}`;
}

/** A value as coloured text: on one line where it fits, otherwise a line for each member. */
export function jsonView(value, columns) {
  const view = document.createElement("code");
  view.className = "json";
  const write = (text, kind) => {
    if (!kind) return view.append(text);
    const part = document.createElement("span");
    part.className = kind;
    part.textContent = text;
    view.append(part);
  };
  layOut(value, { indent: 0, lead: 0, columns }, write);
  return view;
}

/** `lead` counts what stands on the line beside the indent: a key, and the comma to come. */
function layOut(value, { indent, lead, columns }, write) {
  const isList = Array.isArray(value);
  const isTree = isList || (typeof value === "object" && value !== null && !isRaw(value));
  if (!isTree) return write(JSON.stringify(value) ?? "null", kindOf(value));
  const members = isList ? value.map((member) => [null, member]) : Object.entries(value);
  const [open, close] = isList ? "[]" : "{}";
  if (members.length === 0) return write(open + close);
  const width = JSON.stringify(value).length + members.length * 2;
  const fits = indent + lead + width <= columns;
  const pad = isList ? "" : " ";
  write(open + (fits ? pad : ""));
  members.forEach(([key, member], index) => {
    if (index > 0) write(fits ? ", " : ",");
    if (!fits) write(`\n${" ".repeat(indent + 2)}`);
    const name = key === null ? "" : JSON.stringify(key);
    if (name) {
      write(name, "key");
      write(": ");
    }
    layOut(member, { indent: indent + 2, lead: name.length + 3, columns }, write);
  });
  write((fits ? pad : `\n${" ".repeat(indent)}`) + close);
}

function isRaw(value) {
  return JSON.isRawJSON?.(value) ?? false;
}

function kindOf(value) {
  if (value === null) return "null";
  return isRaw(value) ? "number" : typeof value;
}
