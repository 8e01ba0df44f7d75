/** The page: one connection, the views on it, and the address that says which is shown. */

import { Client } from "./client.js";
import { byId, setText } from "./dom.js";
import { figuresView } from "./figures.js";
import { since } from "./format.js";
import { parseJson } from "./json.js";
import { BROKER } from "./operations.js";
import { publishView } from "./publish.js";
import { queryView } from "./query.js";
import { tailView } from "./tail.js";
import { topicsView } from "./topics.js";

const STATE_TEXT = {
  connecting: "Connecting",
  open: "Connected",
  waiting: "Reconnecting",
  closed: "Disconnected",
};
const REFUSED_CODES = new Set([4401, 4403]);

/** Kept in memory only: a reload asks for it again. */
let token = "";

const address = new URL("graphql", location.href);
address.protocol = address.protocol.replace("http", "ws");
address.hash = "";
const client = new Client(address, {
  init: () => (token ? { token } : {}),
  onState: showState,
  parse: parseJson,
});

const figures = figuresView(client);
const topics = topicsView(client);
const tail = tailView(client);
const publish = publishView(client);
queryView(client);

/** @param {import("./client.js").State} state */
function showState(state) {
  byId("connection").dataset.state = state.kind;
  byId("connection").title = "reason" in state ? state.reason : "";
  setText(byId("connection-text"), STATE_TEXT[state.kind]);
  byId("connect-now").hidden = state.kind !== "waiting" && state.kind !== "closed";
  byId("notice").hidden = state.kind !== "closed";
  if (state.kind === "open") queueMicrotask(connected);
  if (state.kind !== "closed") return;
  const why = state.reason ? `: ${state.reason}` : "";
  setText(byId("notice-text"), REFUSED_CODES.has(state.code)
    ? `The broker asks who you are (${state.code}${why}).`
    : `The broker closed this connection for good (${state.code}${why}).`);
}

async function connected() {
  watch();
  tail.resume();
  try {
    const { broker } = await client.request({ query: BROKER });
    setText(byId("broker"), `${broker.engine} engine on ${broker.node}, `
      + `version ${broker.version}, since ${since(broker.startedAt)}`);
  } catch {
    setText(byId("broker"), "");
  }
}

/** Live views cost the broker something: they run only while somebody can see them. */
function watch() {
  const seen = document.visibilityState === "visible";
  if (seen) figures.start();
  else figures.stop();
  if (seen && !byId("view-topics").hidden) topics.start();
  else topics.stop();
}

function route() {
  const [, view, name] = /^#\/(topics|query)(?:\/(.+))?$/.exec(location.hash) ?? [];
  if (!view && location.hash.length > 1) return;
  const topic = view !== "query" && name ? decode(name) : null;
  byId("view-topics").hidden = view === "query";
  byId("view-query").hidden = view !== "query";
  /** @type {NodeListOf<HTMLAnchorElement>} */
  const links = document.querySelectorAll("nav a");
  for (const link of links) {
    const here = link.hash === `#/${view ?? "topics"}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = topic ? `${topic} – Tidings` : "Tidings";
  watch();
  if (view === "query") return;
  tail.open(topic);
  topics.select(topic);
  if (topic && !/[*>]/.test(topic)) publish.suggest(topic);
}

function decode(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  watch();
  if (document.visibilityState === "visible" && client.state.kind === "waiting") client.connect();
});
addEventListener("online", () => client.state.kind === "waiting" && client.connect());
byId("connect-now").addEventListener("click", () => client.connect());
byId("notice").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  client.connect();
});
route();
