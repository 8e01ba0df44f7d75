/** The messages of one topic, or of a filter, as they come. */

import { byId, make, setText } from "./dom.js";
import { faultCode, faultText } from "./faults.js";
import { count, timeOfDay } from "./format.js";
import { jsonView } from "./json.js";
import { TAIL } from "./operations.js";
import { Rows, columnsOf } from "./rows.js";

/** @param {import("./client.js").Client} client */
export function tailView(client) {
  const rows = new Rows(byId("tail"), refresh);
  let topic = null;
  let stop = null;
  /** Whether it ended with the connection, and not for a reason of its own. */
  let broken = false;
  /** What stood there when the tail had to start anew, so that it is not shown twice. */
  let shownBefore = new Set();

  function start() {
    stop = client.start({ query: TAIL, variables: { topics: [topic] } }, {
      next: receive,
      error: (errors) => {
        stop = null;
        const code = faultCode(errors);
        if (code === "CURSOR_EXPIRED") return startAnew();
        broken = code === "CONNECTION";
        byId("tail-fault").hidden = broken;
        setText(byId("tail-fault"), faultText(errors));
        refresh();
      },
      complete: () => {
        stop = null;
        refresh();
      },
    });
  }

  /** The log forgot where this tail was: what is between is lost to it, and it says so. */
  function startAnew() {
    note("The broker no longer holds what came after the last message shown. "
      + "It may have restarted. From here on: its newest messages.");
    shownBefore = new Set(Array.from(byId("tail").children, (row) => row.dataset.cursor));
    start();
  }

  function receive({ data, errors, extensions }) {
    if (extensions?.dropped) {
      note(`Dropped or merged before the next message: ${count(extensions.dropped)}. `
        + "This page was slower than the feed.");
    }
    if (errors?.length) note(faultText(errors));
    if (!data) return;
    const message = data.messages;
    if (shownBefore.has(message.cursor)) return;
    rows.push(() => messageRow(message, message.topic !== topic));
  }

  function note(text) {
    rows.push(() => make("li", { class: "note" }, text));
  }

  function refresh(shown = byId("tail").childElementCount) {
    byId("tail-empty").hidden = shown > 0;
    setText(byId("tail-empty"), topic === null
      ? "Choose a topic to see its messages as they come."
      : "No messages yet. They appear here as they are published.");
    setText(byId("tail-status"), statusText());
  }

  function statusText() {
    if (topic === null) return "";
    if (!stop) return "Ended";
    if (!rows.paused) return "Live";
    return rows.held ? `Paused, ${count(rows.held)} new` : "Paused";
  }

  function pause(paused) {
    const button = byId("tail-pause");
    button.setAttribute("aria-pressed", String(paused));
    rows.pause(paused);
  }

  byId("tail-pause").addEventListener("click", () => pause(!rows.paused));

  return {
    /** Goes on after a connection that had been given up was made again. */
    resume() {
      if (topic === null || stop || !broken) return;
      broken = false;
      start();
      refresh();
    },
    /** Opens the tail of a topic or filter, `null` for none. */
    open(next) {
      if (next === topic) return;
      stop?.();
      stop = null;
      topic = next;
      shownBefore = new Set();
      rows.clear();
      pause(false);
      setText(byId("tail-title"), topic ?? "Tail");
      byId("tail-title").classList.toggle("mono", topic !== null);
      byId("tail-fault").hidden = true;
      byId("tail-pause").hidden = topic === null;
      byId("tail-close").hidden = topic === null;
      if (topic !== null) start();
      refresh();
    },
  };
}

/** @param {import("./operations.js").TailSubscription["messages"]} message */
function messageRow(message, withTopic) {
  const { topic, cursor, publishedAt, key, headers, payload } = message;
  const meta = make("div", { class: "meta" },
    make("time", { datetime: publishedAt }, timeOfDay(publishedAt)));
  if (withTopic) meta.append(make("b", { class: "mono" }, topic));
  if (key !== null && key !== topic) meta.append(make("span", {}, `key ${key}`));
  for (const [name, value] of Object.entries(headers ?? {})) {
    meta.append(make("span", {}, `${name}: ${value}`));
  }
  meta.append(make("span", { class: "mono", title: "Cursor" }, cursor));
  const view = jsonView(payload, columnsOf(byId("tail")));
  return make("li", { "data-cursor": cursor }, meta, make("pre", {}, view));
}
