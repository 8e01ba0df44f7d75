/** urql: subscriptions through its subscriptionExchange, the rest through fetch. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  FOLLOW, PUBLISH, finallyDo, inbox, publish, startBroker, subscribers, until,
} from "./broker.mjs";

function connect(t, broker, options = {}) {
  const socket = createClient({ url: broker.ws, webSocketImpl: WebSocket, ...options });
  finallyDo(t, () => socket.dispose());
  const forwardSubscription = (operation) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe(operation, sink) }),
  });
  const exchanges = [subscriptionExchange({ forwardSubscription }), fetchExchange];
  return new Client({ url: broker.graphql, exchanges, preferGetMethod: false });
}

function follow(client, topics) {
  const box = inbox();
  const { unsubscribe } = client.subscription(gql(FOLLOW), { topics }).subscribe(box.put);
  return { ...box, unsubscribe };
}

test("subscribe, publish and unsubscribe", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const published = await client.mutation(gql(PUBLISH), { topic: "urql", payload: [1] });
  assert.equal(published.error, undefined);
  const messages = follow(client, ["urql"]);
  assert.equal((await messages.take()).data.messages.cursor, published.data.publish.cursor);
  await publish(broker, "urql", [2]);
  assert.deepEqual((await messages.take()).data.messages.payload, [2]);
  messages.unsubscribe();
  await until(async () => (await subscribers(broker, "urql")) === 0);
});

test("an error reaches the caller with its code", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker);
  const { error } = await client.mutation(gql(PUBLISH), { topic: "", payload: 1 });
  assert.equal(error.graphQLErrors[0].extensions.code, "BAD_TOPIC");
  const refused = await follow(client, ["a.>.b"]).take();
  assert.equal(refused.error.graphQLErrors[0].extensions.code, "BAD_FILTER");
});

test("a subscription goes on after the broker restarts", async (t) => {
  const broker = await startBroker(t);
  const client = connect(t, broker, {
    retryAttempts: 50, shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  });
  await publish(broker, "urql", "before");
  const messages = follow(client, ["urql"]);
  assert.equal((await messages.take()).data.messages.payload, "before");
  await broker.stop();
  const next = await startBroker(t, { listen: broker.client });
  await publish(next, "urql", "after");
  assert.equal((await messages.take()).data.messages.payload, "after");
  messages.unsubscribe();
});
