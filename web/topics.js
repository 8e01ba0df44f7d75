/** The table of topics, refreshed every second while it is seen. */

import { byId, make, setText } from "./dom.js";
import { faultCode, faultText } from "./faults.js";
import { bytes, count, rate } from "./format.js";
import { TOPICS } from "./operations.js";

const TOPICS_MAX = 500;
const REFRESH_MS = 1_000;

/** @typedef {import("./operations.js").TopicsQuery["topics"]} Answer */
/** @typedef {Answer["nodes"][number]} Topic */

/**
 * The columns after the name, in order, each with how its figure is written.
 *
 * @type {[Exclude<keyof Topic, "name" | "type">, (figure: number) => string][]}
 */
const COLUMNS = [
  ["publishedPerSecond", rate],
  ["deliveredPerSecond", rate],
  ["subscribers", count],
  ["messages", count],
  ["bytes", bytes],
];

/** The address of a topic's tail in this page. */
export function topicAddress(topic) {
  return `#/topics/${encodeURIComponent(topic)}`;
}

/** @param {import("./client.js").Client} client */
export function topicsView(client) {
  const body = byId("topics").tBodies[0];
  const filter = byId("filter");
  /** @type {Map<string, HTMLTableRowElement>} */
  const rows = new Map();
  let sort = { column: "name", descending: false };
  /** @type {Answer} */
  let answer = { nodes: [], pageInfo: { hasNextPage: false } };
  let known = false;
  let selected = null;
  let timer = 0;
  let shown = false;

  async function refresh() {
    clearTimeout(timer);
    try {
      const variables = { match: isPattern(filter.value) ? filter.value.trim() : ">" };
      const data = await client.request({
        query: TOPICS,
        variables: { ...variables, first: TOPICS_MAX },
      });
      answer = data.topics;
      known = true;
      byId("topics-fault").hidden = true;
    } catch (errors) {
      byId("topics-fault").hidden = faultCode(errors) === "CONNECTION";
      setText(byId("topics-fault"), faultText(errors));
    }
    render();
    clearTimeout(timer);
    if (shown) timer = setTimeout(refresh, REFRESH_MS);
  }

  function render(mayMove = !body.matches(":hover, :focus-within")) {
    const needle = isPattern(filter.value) ? "" : filter.value.trim().toLowerCase();
    const topics = answer.nodes.filter(({ name }) => name.toLowerCase().includes(needle));
    topics.sort(order(sort));
    const names = new Set(topics.map(({ name }) => name));
    for (const [name, row] of rows) {
      if (names.has(name)) continue;
      row.remove();
      rows.delete(name);
    }
    topics.forEach((topic, index) => place(rowOf(topic), index, mayMove));
    setText(byId("topics-count"), countText(topics.length, answer));
    const empty = byId("topics-empty");
    empty.hidden = topics.length > 0 || !known;
    setText(empty, filter.value.trim() === ""
      ? "No topics yet. A topic appears with its first message or its first subscriber."
      : `No topic matches “${filter.value.trim()}”.`);
  }

  /** @param {Topic} topic */
  function rowOf(topic) {
    let row = rows.get(topic.name);
    if (!row) {
      const link = make("a", { href: topicAddress(topic.name), title: topic.name }, topic.name);
      const type = make("span", { class: "type" });
      row = make("tr", {}, make("td", {}, link, type), ...COLUMNS.map(() => make("td")));
      rows.set(topic.name, row);
      mark(topic.name, row);
    }
    setText(row.cells[0].lastElementChild, topic.type ?? "");
    COLUMNS.forEach(([field, write], index) => {
      const cell = row.cells[index + 1];
      setText(cell, write(topic[field]));
      cell.classList.toggle("zero", topic[field] === 0);
    });
    return row;
  }

  /** Rows do not move under the pointer or the focus: one would hit the wrong one. */
  function place(row, index, mayMove) {
    const there = body.rows[index];
    if (there === row || (row.isConnected && !mayMove)) return;
    body.insertBefore(row, there ?? null);
  }

  function mark(name, row) {
    if (name === selected) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }

  function sortBy(column) {
    const descending = sort.column === column ? !sort.descending : column !== "name";
    sort = { column, descending };
    for (const button of byId("topics").querySelectorAll("[data-sort]")) {
      const head = button.parentElement;
      head.removeAttribute("aria-sort");
      if (button.dataset.sort !== column) continue;
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    }
    render(true);
  }

  byId("topics").tHead.addEventListener("click", (event) => {
    const column = event.target.closest("[data-sort]")?.dataset.sort;
    if (column) sortBy(column);
  });
  filter.addEventListener("input", () => {
    const pattern = isPattern(filter.value) ? filter.value.trim() : null;
    byId("tail-all").hidden = !pattern;
    if (pattern) byId("tail-all").href = topicAddress(pattern);
    render(true);
    if (shown) refresh();
  });

  return {
    start() {
      if (shown) return;
      shown = true;
      refresh();
    },
    stop() {
      shown = false;
      clearTimeout(timer);
    },
    /** Marks the row whose tail is open; `null` for none. */
    select(topic) {
      selected = topic;
      for (const [name, row] of rows) mark(name, row);
    },
  };
}

/** Whether the text is a topic filter, which the server answers, and not a part of a name. */
function isPattern(text) {
  return /(^|\.)[*>](\.|$)/.test(text.trim());
}

function order({ column, descending }) {
  const sign = descending ? -1 : 1;
  const compare = (a, b) => (a < b ? -1 : Number(a > b));
  return (a, b) => sign * compare(a[column], b[column]) || compare(a.name, b.name);
}

function countText(visible, { nodes, pageInfo }) {
  if (pageInfo.hasNextPage) return `${visible} of the first ${TOPICS_MAX}; narrow with a filter`;
  return visible === nodes.length ? count(visible) : `${count(visible)} of ${count(nodes.length)}`;
}
