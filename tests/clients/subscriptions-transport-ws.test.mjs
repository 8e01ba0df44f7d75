/** subscriptions-transport-ws, the client of the older protocol, on its subprotocol graphql-ws. */

import assert from "node:assert/strict";
import { test } from "node:test";
import transport from "subscriptions-transport-ws";
import WebSocket from "ws";
import {
  FOLLOW, FOLLOW_AFTER, PUBLISH, finallyDo, inbox, publish, startBroker, subscribers, until,
} from "./broker.mjs";

function connect(t, broker, options = {}) {
  const settings = { reconnect: true, minTimeout: 5_000, ...options };
  const client = new transport.SubscriptionClient(broker.ws, settings, WebSocket);
  finallyDo(t, () => client.close());
  return client;
}

function follow(client, query, variables) {
  const box = inbox();
  const { unsubscribe } = client.request({ query, variables })
    .subscribe({ next: box.put, error: box.fail, complete: () => box.put("complete") });
  return { ...box, unsubscribe };
}

test("query, mutation and subscriptions share a socket", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const first = await follow(client, PUBLISH, { topic: "old.a", payload: 1 }).take();
  const one = follow(client, FOLLOW, { topics: ["old.a"] });
  const two = follow(client, FOLLOW, { topics: ["old.>"] });
  for (const each of [one, two]) {
    assert.equal((await each.take()).data.messages.cursor, first.data.publish.cursor);
  }
  one.unsubscribe();
  await until(async () => (await subscribers(broker, "old.a")) === 1);
  await publish(broker, "old.a", { n: 2 });
  assert.deepEqual((await two.take()).data.messages.payload, { n: 2 });
  const query = follow(client, "{ broker { engine } }");
  assert.equal((await query.take()).data.broker.engine, "memory");
  assert.equal(await query.take(), "complete");
});

test("a subscription resumes after a cursor", async (t) => {
  const broker = await startBroker(t);
  const receipts = [];
  for (const payload of [0, 1, 2]) receipts.push(await publish(broker, "old", payload));
  const client = connect(t, broker);
  const variables = { topics: ["old"], after: receipts[0].cursor };
  const messages = follow(client, FOLLOW_AFTER, variables);
  const results = await messages.takeMany(2);
  assert.deepEqual(results.map(({ data }) => data.messages.payload), [1, 2]);
});

test("errors reach the caller", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const table = [
    ["{ nothing }", {}, undefined],
    [PUBLISH, { topic: "a..b", payload: 1 }, "BAD_TOPIC"],
    [FOLLOW, { topics: [">.a"] }, "BAD_FILTER"],
  ];
  for (const [query, variables, code] of table) {
    const error = await follow(client, query, variables).take()
      .then(({ errors }) => errors?.[0], (thrown) => thrown);
    assert.ok(error?.message, `no error for ${query}`);
    if (code) assert.equal(error.extensions?.code, code, error.message);
  }
});

test("a subscription goes on after the broker restarts", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  await publish(broker, "old", "before");
  const messages = follow(client, FOLLOW, { topics: ["old"] });
  assert.equal((await messages.take()).data.messages.payload, "before");
  await broker.stop();
  const next = await startBroker(t, { listen: broker.client });
  await publish(next, "old", "after");
  assert.equal((await messages.take()).data.messages.payload, "after");
});
