/**
 * Subscriptions that hear nothing for a long time, through proxies with the time-outs they come
 * with: each has to be there still, the same connection, and then deliver.
 *
 *   node --test tests/proxies/silence.test.mjs                    five minutes of silence
 *   TIDINGS_SILENCE=70 node --test tests/proxies/silence.test.mjs
 *
 * It needs nginx, haproxy (Debian's packages do) and `npm ci` in tests/clients.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { finallyDo, post, publish, startBroker, until } from "../clients/broker.mjs";

const WebSocket = createRequire(new URL("../clients/package.json", import.meta.url))("ws");
const SILENCE_S = Number(process.env.TIDINGS_SILENCE ?? 300);
const FOLLOW = "subscription { messages(topics: \"silence\") { payload } }";
const JSON_TYPE = { "content-type": "application/json" };

/** Name, program with its arguments, configuration and what is put into it. */
const PROXIES = [
  ["nginx, 60 s", (file, folder) => ["nginx", "-p", folder, "-c", file], "nginx.conf", {}],
  ["haproxy, 50 s", (file) => ["haproxy", "-db", "-f", file], "haproxy.cfg", { SECONDS: 50 }],
  ["haproxy, 30 s", (file) => ["haproxy", "-db", "-f", file], "haproxy.cfg", { SECONDS: 30 }],
];

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A proxy before the broker; its address. */
async function startProxy(t, broker, [name, command, template, settings]) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidings-proxy-"));
  const port = await freePort();
  let text = await readFile(new URL(template, import.meta.url), "utf8");
  const values = { LISTEN: port, BROKER: broker.client, ...settings };
  for (const [key, value] of Object.entries(values)) text = text.replaceAll(key, String(value));
  const file = path.join(folder, template);
  await writeFile(file, text);
  const [program, ...flags] = command(file, folder);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child = spawn(program, flags, { env, stdio: ["ignore", "inherit", "inherit"] });
  const gone = new Promise((resolve) => child.once("close", resolve));
  let fault = null;
  child.once("error", (error) => (fault = error));
  finallyDo(t, async () => {
    child.kill("SIGTERM");
    await gone;
    await rm(folder, { recursive: true });
  });
  await until(async () => {
    assert.equal(fault ?? child.exitCode, null, `${name} does not run`);
    return fetch(`http://127.0.0.1:${port}/`).then(({ ok }) => ok, () => false);
  });
  return `127.0.0.1:${port}`;
}

/** A stream over HTTP; the promise of the moment when its text holds the mark. */
async function stream(t, url, options, mark) {
  const ending = new AbortController();
  const response = await fetch(url, { ...options, signal: ending.signal });
  finallyDo(t, () => ending.abort());
  assert.equal(response.status, 200);
  const arrives = async () => {
    let text = "";
    for await (const bytes of response.body) {
      text += Buffer.from(bytes).toString();
      if (text.includes(mark)) return;
    }
    assert.fail(`the stream ended with ${JSON.stringify(text.slice(-200))}`);
  };
  return arrives();
}

function socket(t, address, mark) {
  const opened = new WebSocket(`ws://${address}/graphql`, "graphql-transport-ws");
  finallyDo(t, () => opened.terminate());
  return new Promise((resolve, reject) => {
    const send = (message) => opened.send(JSON.stringify(message));
    opened.on("open", () => send({ type: "connection_init" }));
    opened.on("error", reject);
    opened.on("close", (code) => reject(new Error(`closed with ${code}`)));
    opened.on("message", (text) => {
      if (String(text).includes("connection_ack")) {
        send({ id: "1", type: "subscribe", payload: { query: FOLLOW } });
      } else if (String(text).includes(mark)) resolve();
    });
  });
}

/** A stream of many operations, with one on it. */
async function single(t, http, mark) {
  const token = await (await fetch(`${http}/graphql`, { method: "PUT" })).text();
  const headers = { accept: "text/event-stream", "x-graphql-event-stream-token": token };
  const arrives = stream(t, `${http}/graphql`, { headers }, mark);
  const body = JSON.stringify({ query: FOLLOW, extensions: { operationId: "1" } });
  const { status } = await fetch(`${http}/graphql`, {
    method: "POST", body, headers: { ...JSON_TYPE, "x-graphql-event-stream-token": token },
  });
  assert.equal(status, 202);
  return arrives;
}

/** Every transport through one address: name and the promise of its delivery. */
function transports(t, address, mark) {
  const http = `http://${address}`;
  const events = { accept: "text/event-stream" };
  const parts = { accept: "multipart/mixed;subscriptionSpec=1.0", ...JSON_TYPE };
  const posted = { method: "POST", body: JSON.stringify({ query: FOLLOW }) };
  return [
    ["WebSocket", socket(t, address, mark)],
    ["plain SSE", stream(t, `${http}/topics/silence`, { headers: events }, mark)],
    ["GraphQL over SSE", stream(t, `${http}/graphql`,
      { ...posted, headers: { ...events, ...JSON_TYPE } }, mark)],
    ["single connection", single(t, http, mark)],
    ["multipart", stream(t, `${http}/graphql`, { ...posted, headers: parts }, mark)],
  ];
}

const CONNECTIONS = "{ connections { nodes { id subscriptions } } }";

async function connections(broker) {
  const { body } = await post(broker, { query: CONNECTIONS });
  return body.data.connections.nodes;
}

const timeout = SILENCE_S * 1000 + 60_000;
test(`after ${SILENCE_S} s of silence every subscription delivers`, { timeout }, async (t) => {
  const broker = await startBroker(t);
  const mark = "the end of the silence";
  const waiting = [];
  for (const proxy of PROXIES) {
    const address = await startProxy(t, broker, proxy);
    for (const [name, arrives] of transports(t, address, mark)) {
      const settled = arrives.then(() => "delivered", (error) => error.message);
      waiting.push([`${proxy[0]}, ${name}`, settled]);
    }
  }
  const all = async () => {
    const open = await connections(broker);
    return open.length === waiting.length && open.every(({ subscriptions }) => subscriptions === 1);
  };
  await until(all);
  const before = await connections(broker);
  await new Promise((resolve) => setTimeout(resolve, SILENCE_S * 1000));
  assert.deepEqual(await connections(broker), before, "a connection was lost in the silence");
  await publish(broker, "silence", mark);
  const late = new Promise((resolve) => setTimeout(resolve, 10_000, "nothing came").unref());
  for (const [name, settled] of waiting) {
    const outcome = await Promise.race([settled, late]);
    t.diagnostic(`${name}: ${outcome}`);
    assert.equal(outcome, "delivered", name);
  }
});
