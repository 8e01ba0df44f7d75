/** What a client may do wrong on the socket, and the code that it is closed with. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import WebSocket from "ws";
import { FOLLOW, finallyDo, inbox, startBroker } from "./broker.mjs";

const INIT = { type: "connection_init" };
const SUBSCRIBE = {
  id: "1", type: "subscribe", payload: { query: FOLLOW, variables: { topics: ["a"] } },
};

/** Opens a socket; `received` gets its messages and, last, `{closed: code, reason}`. */
async function open(t, broker, protocols = ["graphql-transport-ws"]) {
  const socket = new WebSocket(broker.ws, protocols);
  const received = inbox();
  socket.on("message", (data) => received.put(JSON.parse(data)));
  socket.on("close", (closed, reason) => received.put({ closed, reason: String(reason) }));
  finallyDo(t, () => socket.terminate());
  await once(socket, "open");
  return { socket, received, send: (message) => socket.send(JSON.stringify(message)) };
}

/** The code that ends a connection, after whatever was answered before. */
async function closeCode(received) {
  for (;;) {
    const { closed, reason } = await received.take();
    if (closed === undefined) continue;
    assert.ok(reason.length > 0 && reason.length <= 123, `the reason of ${closed}: ${reason}`);
    return closed;
  }
}

test("every breach has its close code", { timeout: 20_000 }, async (t) => {
  const broker = await startBroker(t);
  const table = [
    ["no subscribe before the ack", 4401, [SUBSCRIBE]],
    ["only one init", 4429, [INIT, INIT]],
    ["an id is used once at a time", 4409, [INIT, SUBSCRIBE, SUBSCRIBE]],
    ["text that is no JSON", 4400, [INIT, "{"]],
    ["JSON that is no message", 4400, [INIT, "[]"]],
    ["a type nobody knows", 4400, [INIT, { type: "hello" }]],
    ["a subscribe without an id", 4400, [INIT, { ...SUBSCRIBE, id: undefined }]],
    ["a subscribe without a payload", 4400, [INIT, { ...SUBSCRIBE, payload: undefined }]],
    ["a message of the server's", 4400, [INIT, { type: "connection_ack" }]],
  ];
  for (const [name, code, messages] of table) {
    const { received, socket } = await open(t, broker);
    for (const each of messages) {
      socket.send(typeof each === "string" ? each : JSON.stringify(each));
    }
    assert.equal(await closeCode(received), code, name);
  }
});

test("a socket without a subprotocol is closed with 4406", async (t) => {
  const broker = await startBroker(t);
  const { received } = await open(t, broker, []);
  assert.equal(await closeCode(received), 4406);
});

test("a client that sends no init in time is closed with 4408", async (t) => {
  const broker = await startBroker(t, { flags: ["--set", "limits.init_timeout=300ms"] });
  const { received } = await open(t, broker);
  assert.equal(await closeCode(received), 4408);
});

test("binary messages are not understood", async (t) => {
  const broker = await startBroker(t);
  const { received, socket } = await open(t, broker);
  socket.send(Buffer.from([1, 2, 3]));
  assert.equal(await closeCode(received), 1003);
});

test("what is allowed is not punished", async (t) => {
  const broker = await startBroker(t);
  const { received, send } = await open(t, broker);
  send({ type: "ping", payload: { n: 1 } });
  assert.deepEqual(await received.take(), { type: "pong", payload: { n: 1 } });
  send(INIT);
  assert.equal((await received.take()).type, "connection_ack");
  send({ type: "pong" });
  send({ type: "complete", id: "never used" });
  send(SUBSCRIBE);
  send({ type: "complete", id: "1" });
  send(SUBSCRIBE);
  send({ id: "2", type: "subscribe", payload: { query: "{ broker { engine } }" } });
  assert.deepEqual(await received.take(),
    { id: "2", type: "next", payload: { data: { broker: { engine: "memory" } } } });
  assert.deepEqual(await received.take(), { id: "2", type: "complete" });
});
