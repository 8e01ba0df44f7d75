/** Starts the broker's binary for a test, publishes to it, and ends it with the test. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import readline from "node:readline";

export const BINARY = process.env.TIDINGS_BIN
  ?? fileURLToPath(new URL("../../target/debug/tidings", import.meta.url));
const READY_WITHIN_MS = 20_000;
const STOPPED_WITHIN_MS = 15_000;

/**
 * A running broker on ports of its own. It is stopped when the test is over.
 *
 * @param {import("node:test").TestContext} t
 * @param {{listen?: string, flags?: string[]}} options
 */
export async function startBroker(t, { listen = "127.0.0.1:0", flags = [] } = {}) {
  const { TIDINGS_BIN: _, ...env } = process.env;
  const fixed = ["serve", "--listen", listen, "--admin-listen", "127.0.0.1:0"];
  const child = spawn(BINARY, [...fixed, ...flags], { env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => (log += text));
  const ended = once(child, "exit");
  const stop = () => stopChild(child, ended);
  finallyDo(t, stop, { last: true });
  const [client, admin] = addresses(await readyLine(child, ended, () => log));
  const http = `http://${client}`;
  const ws = `ws://${client}/graphql`;
  /** Without a word to anybody, as when the power fails. */
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return { http, graphql: `${http}/graphql`, ws, admin, client, stop, kill };
}

const endings = new WeakMap();

/** Runs when the test is over: what was made last goes first, but the brokers go last of all. */
export function finallyDo(t, action, { last = false } = {}) {
  if (!endings.has(t)) {
    const actions = [];
    endings.set(t, actions);
    t.after(async () => {
      for (const each of actions.reverse()) await each();
    });
  }
  if (last) endings.get(t).unshift(action);
  else endings.get(t).push(action);
}

/** The first line on stdout: it is printed when the broker takes clients. */
async function readyLine(child, ended, log) {
  const lines = readline.createInterface({ input: child.stdout });
  const timer = AbortSignal.timeout(READY_WITHIN_MS);
  const first = once(lines, "line", { signal: timer }).then(([line]) => line);
  const line = await Promise.race([first, ended.then(() => null)]);
  assert.ok(line, `the broker ended before it was ready:\n${log()}`);
  return line;
}

/** The addresses in the ready line: that for clients, then that for admins. */
function addresses(line) {
  const found = line.match(/127\.0\.0\.1:\d+/g) ?? [];
  assert.ok(found.length >= 2, `the ready line names two addresses: ${line}`);
  return found;
}

async function stopChild(child, ended) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOPPED_WITHIN_MS);
  await ended;
  clearTimeout(timer);
}

/** One GraphQL request over HTTP: its status and its parsed answer. */
export async function post(broker, body, headers = {}) {
  const response = await fetch(broker.graphql, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, type: response.headers.get("content-type"),
    body: await response.json() };
}

/** Publishes over HTTP, beside the client that is tested. Gives the receipt. */
export async function publish(broker, topic, payload) {
  const { body } = await post(broker, { query: PUBLISH, variables: { topic, payload } });
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  return body.data.publish;
}

export const PUBLISH = `mutation ($topic: String!, $payload: JSON!) {
  publish(topic: $topic, payload: $payload) { topic cursor publishedAt duplicate }
}`;

/** The newest message of each topic that is kept, then what comes. */
export const FOLLOW = `subscription ($topics: [String!]!) {
  messages(topics: $topics, last: 1) { topic cursor payload }
}`;

/** What is kept after a cursor, then what comes. */
export const FOLLOW_AFTER = `subscription ($topics: [String!]!, $after: Cursor) {
  messages(topics: $topics, after: $after) { topic cursor payload }
}`;

/** How many subscribers a topic has. */
export async function subscribers(broker, topic) {
  const query = "query ($name: String!) { topic(name: $name) { subscribers } }";
  const { body } = await post(broker, { query, variables: { name: topic } });
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  return body.data.topic?.subscribers ?? 0;
}

/** Asks until the answer is yes; the test's own time limit ends a wait in vain. */
export async function until(ask) {
  while (!(await ask())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/**
 * A queue between a client's callbacks and a test that awaits. `fail` makes the next `take` throw.
 */
export function inbox() {
  const held = [];
  let waiting = null;
  const add = (entry) => {
    held.push(entry);
    waiting?.();
  };
  return {
    put: (value) => add({ value }),
    fail: (error) => add({ error }),
    async take() {
      while (held.length === 0) await new Promise((resolve) => (waiting = resolve));
      const { value, error } = held.shift();
      if (error) throw error;
      return value;
    },
    async takeMany(count) {
      const values = [];
      while (values.length < count) values.push(await this.take());
      return values;
    },
  };
}
