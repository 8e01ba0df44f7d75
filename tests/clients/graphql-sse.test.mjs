/** The client of graphql-sse: one connection for each operation, and one for all of them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "graphql-sse";
import {
  FOLLOW, FOLLOW_AFTER, PUBLISH, finallyDo, inbox, publish, startBroker, subscribers, until,
} from "./broker.mjs";
import { startWire } from "./wire.mjs";

const MODES = [["distinct connections", false], ["a single connection", true]];

function connect(t, url, singleConnection, options = {}) {
  const client = createClient({ url, singleConnection, ...options });
  finallyDo(t, () => client.dispose());
  return client;
}

function follow(client, request) {
  const box = inbox();
  const stop = client.subscribe(request, {
    next: box.put, error: box.fail, complete: () => box.put("complete"),
  });
  return { box, stop };
}

for (const [name, single] of MODES) {
  test(`${name}: subscribe, publish and unsubscribe`, async (t) => {
    const broker = await startBroker(t);
    const client = connect(t, broker.graphql, single);
    const topics = ["sse.a", "sse.b"];
    const feeds = topics.map((topic) =>
      follow(client, { query: FOLLOW, variables: { topics: [topic] } }));
    for (const topic of topics) await until(async () => (await subscribers(broker, topic)) === 1);
    for (const [index, topic] of topics.entries()) {
      for (const n of [1, 2, 3]) await publish(broker, topic, { n });
      const results = await feeds[index].box.takeMany(3);
      assert.deepEqual(results.map(({ data }) => data.messages.payload.n), [1, 2, 3]);
      assert.equal(results[0].extensions, undefined);
    }
    feeds[0].stop();
    await until(async () => (await subscribers(broker, "sse.a")) === 0);
    assert.equal(await subscribers(broker, "sse.b"), 1);
    assert.equal(await feeds[0].box.take(), "complete");
  });

  test(`${name}: queries and mutations`, async (t) => {
    const broker = await startBroker(t);
    const client = connect(t, broker.graphql, single);
    const variables = { topic: "sse.m", payload: { exact: "ü\n" } };
    const mutation = follow(client, { query: PUBLISH, variables });
    assert.equal((await mutation.box.take()).data.publish.topic, "sse.m");
    assert.equal(await mutation.box.take(), "complete");
    const query = "{ last(topics: \"sse.m\") { payload } }";
    for await (const { data } of client.iterate({ query })) {
      assert.deepEqual(data.last, [{ payload: { exact: "ü\n" } }]);
    }
  });

  test(`${name}: an error of a subscription reaches its sink`, async (t) => {
    const broker = await startBroker(t);
    const client = connect(t, broker.graphql, single);
    const variables = { topics: ["sse.e"], after: "zzz-1" };
    const { box } = follow(client, { query: FOLLOW_AFTER, variables });
    const { errors } = await box.take();
    assert.equal(errors[0].extensions.code, "CURSOR_EXPIRED");
    assert.equal(await box.take(), "complete");
  });

  test(`${name}: goes on after the connection was cut`, async (t) => {
    const broker = await startBroker(t);
    const wire = await startWire(t, broker);
    const client = connect(t, `${wire.http}/graphql`, single, {
      retryAttempts: 50, retry: () => new Promise((resolve) => setTimeout(resolve, 20)),
    });
    const { box } = follow(client, { query: FOLLOW, variables: { topics: ["sse.c"] } });
    await until(async () => (await subscribers(broker, "sse.c")) === 1);
    await publish(broker, "sse.c", 1);
    assert.equal((await box.take()).data.messages.payload, 1);
    wire.cut();
    // `last: 1` brings it again when the client is back.
    assert.equal((await box.take()).data.messages.payload, 1);
    await publish(broker, "sse.c", 2);
    assert.equal((await box.take()).data.messages.payload, 2);
  });
}

test("many subscriptions share a single connection", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker.graphql, true, { lazy: false });
  const feeds = Array.from({ length: 50 }, (_, index) =>
    follow(client, { query: FOLLOW, variables: { topics: [`many.${index}`] } }));
  for (const index of feeds.keys()) {
    await until(async () => (await subscribers(broker, `many.${index}`)) === 1);
  }
  const query = "{ connections { totalCount nodes { protocol subscriptions } } }";
  const response = await fetch(`${broker.graphql}?query=${encodeURIComponent(query)}`);
  const { nodes } = (await response.json()).data.connections;
  assert.deepEqual(nodes, [{ protocol: "sse", subscriptions: 50 }]);
  for (const [index, { box }] of feeds.entries()) {
    await publish(broker, `many.${index}`, index);
    assert.equal((await box.take()).data.messages.payload, index);
  }
});
