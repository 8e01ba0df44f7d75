/** graphql-ws, the reference client of graphql-transport-ws. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  FOLLOW, FOLLOW_AFTER, PUBLISH, finallyDo, inbox, publish, startBroker, subscribers, until,
} from "./broker.mjs";

function connect(t, broker, options = {}) {
  const client = createClient({ url: broker.ws, webSocketImpl: WebSocket, ...options });
  finallyDo(t, () => client.dispose());
  return client;
}

/** Subscribes into an inbox of results. */
function follow(client, payload) {
  const box = inbox();
  const stop = client.subscribe(payload, {
    next: box.put, error: box.fail, complete: () => box.put("complete"),
  });
  return { ...box, stop };
}

/** The one result of a query or mutation. */
async function once(client, payload) {
  const { value } = await client.iterate(payload).next();
  return value;
}

/** The errors of an operation, whether they come as a message or inside a result. */
async function errorsOf(client, payload) {
  try {
    return (await once(client, payload)).errors;
  } catch (errors) {
    return errors;
  }
}

test("the ack says who answered and where the log stands", async (t) => {
  const broker = await startBroker(t);
  const acknowledged = inbox();
  connect(t, broker, { lazy: false, on: { connected: (_, ack) => acknowledged.put(ack) } });
  const ack = await acknowledged.take();
  for (const field of ["connection", "node", "version", "cursor"]) {
    assert.equal(typeof ack[field], "string", field);
  }
});

test("query, mutation and subscription share a socket", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const first = await once(client, { query: PUBLISH, variables: { topic: "a.b", payload: 1 } });
  assert.equal(first.data.publish.topic, "a.b");
  assert.equal(first.data.publish.duplicate, false);
  const messages = follow(client, { query: FOLLOW, variables: { topics: ["a.*"] } });
  assert.equal((await messages.take()).data.messages.cursor, first.data.publish.cursor);
  const payload = { text: "zwei", list: [1, 2.5, null, true], deep: { er: "ü" } };
  const second = await once(client, { query: PUBLISH, variables: { topic: "a.b", payload } });
  assert.deepEqual((await messages.take()).data.messages, {
    topic: "a.b", cursor: second.data.publish.cursor, payload,
  });
  const query = "{ last(topics: [\"a.>\"]) { topic payload } broker { engine } }";
  const result = await once(client, { query });
  assert.deepEqual(result.data.last, [{ topic: "a.b", payload }]);
  assert.equal(result.data.broker.engine, "memory");
});

test("what one connection publishes keeps its order, pipelined", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const numbers = Array.from({ length: 500 }, (_, index) => index);
  const start = await publish(broker, "order", "start");
  const messages = follow(client, {
    query: FOLLOW_AFTER, variables: { topics: ["order"], after: start.cursor },
  });
  await Promise.all(numbers.map((payload) =>
    once(client, { query: PUBLISH, variables: { topic: "order", payload } })));
  const results = await messages.takeMany(numbers.length);
  assert.deepEqual(results.map(({ data }) => data.messages.payload), numbers);
});

test("many subscriptions on one socket are told apart, and end one by one", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const topics = Array.from({ length: 20 }, (_, index) => `many.t${index}`);
  for (const topic of topics) await publish(broker, topic, "before");
  const all = topics.map((topic) =>
    follow(client, { query: FOLLOW, variables: { topics: [topic] } }));
  for (const each of all) assert.equal((await each.take()).data.messages.payload, "before");
  all[0].stop();
  assert.equal(await all[0].take(), "complete");
  await until(async () => (await subscribers(broker, topics[0])) === 0);
  assert.equal(await subscribers(broker, topics[1]), 1);
  for (const topic of topics) await publish(broker, topic, `to ${topic}`);
  for (const [index, each] of all.entries()) {
    if (index === 0) continue;
    assert.equal((await each.take()).data.messages.payload, `to ${topics[index]}`);
  }
});

test("errors say what is wrong, with their code", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const table = [
    [{ query: "{ nothing }" }, undefined, /nothing/],
    [{ query: "{ broker { " }, undefined, /./],
    [{ query: FOLLOW, variables: {} }, undefined, /topics/],
    [{ query: PUBLISH, variables: { topic: "a..b", payload: 1 } }, "BAD_TOPIC", /./],
    [{ query: PUBLISH, variables: { topic: "$sys", payload: 1 } }, "BAD_TOPIC", /./],
    [{ query: FOLLOW, variables: { topics: ["a.>.b"] } }, "BAD_FILTER", /./],
    [{ query: FOLLOW_AFTER, variables: { topics: ["a"], after: "?" } }, "BAD_CURSOR", /./],
  ];
  for (const [payload, code, message] of table) {
    const errors = await errorsOf(client, payload);
    assert.ok(errors?.length, `no error for ${JSON.stringify(payload)}`);
    assert.match(errors[0].message, message);
    if (code) assert.equal(errors[0].extensions?.code, code, errors[0].message);
  }
  const after = await once(client, { query: "{ broker { version } }" });
  assert.ok(after.data.broker.version, "the connection outlives them all");
});

test("a subscription resumes after a cursor, by argument and by extension", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker, { connectionParams: { resume: true } });
  const receipts = [];
  for (const payload of [0, 1, 2, 3]) receipts.push(await publish(broker, "resume", payload));
  const variables = { topics: ["resume"], after: receipts[1].cursor };
  const byArgument = follow(client, { query: FOLLOW_AFTER, variables });
  const extensions = { after: receipts[0].cursor };
  const byExtension = follow(client, {
    query: FOLLOW, variables: { topics: ["resume"] }, extensions,
  });
  await publish(broker, "resume", 4);
  const payloads = (results) => results.map(({ data }) => data.messages.payload);
  assert.deepEqual(payloads(await byArgument.takeMany(3)), [2, 3, 4]);
  const results = await byExtension.takeMany(4);
  assert.deepEqual(payloads(results), [1, 2, 3, 4]);
  for (const { data, extensions } of results) assert.equal(extensions.cursor, data.messages.cursor);
});

test("a cursor of a log that is gone is refused, not half answered", async (t) => {
  const broker = await startBroker(t);
  const { cursor } = await publish(broker, "gone", 1);
  await broker.stop();
  const next = await startBroker(t, { listen: broker.client });
  const client = connect(t, next);
  const variables = { topics: ["gone"], after: cursor };
  const [error] = await errorsOf(client, { query: FOLLOW_AFTER, variables });
  assert.equal(error.extensions.code, "CURSOR_EXPIRED");
});

test("a client comes back after the broker restarts", async (t) => {
  const broker = await startBroker(t);
  const closed = inbox();
  const client = connect(t, broker, {
    retryAttempts: 50, shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    on: { closed: closed.put },
  });
  await publish(broker, "restart", "before");
  const messages = follow(client, { query: FOLLOW, variables: { topics: ["restart"] } });
  assert.equal((await messages.take()).data.messages.payload, "before");
  await broker.stop();
  assert.equal((await closed.take()).code, 1012);
  const next = await startBroker(t, { listen: broker.client });
  await publish(next, "restart", "after");
  assert.equal((await messages.take()).data.messages.payload, "after");
});
