/**
 * Apollo Client: subscriptions over GraphQLWsLink and in parts over HTTP; batches and persisted
 * queries over HTTP.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { BatchHttpLink } from "@apollo/client/link/batch-http";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { RetryLink } from "@apollo/client/link/retry";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  FOLLOW, PUBLISH, finallyDo, inbox, publish, startBroker, subscribers, until,
} from "./broker.mjs";

const BROKER = gql`query Broker { broker { version engine } }`;

function apollo(t, link) {
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  finallyDo(t, () => client.stop());
  return client;
}

function overSocket(t, broker, options = {}) {
  const socket = createClient({ url: broker.ws, webSocketImpl: WebSocket, ...options });
  finallyDo(t, () => socket.dispose());
  return apollo(t, new GraphQLWsLink(socket));
}

/** Passes requests on to fetch, and keeps what was sent and answered. */
function recorder() {
  const calls = [];
  const recorded = async (url, options) => {
    const response = await fetch(url, options);
    const answer = await response.clone().json();
    calls.push({ url: String(url), method: options.method, body: options.body, answer });
    return response;
  };
  return { calls, fetch: recorded };
}

test("subscribe, publish and unsubscribe", async (t) => {
  const broker = await startBroker(t);
  const client = overSocket(t, broker);
  const variables = { topic: "apollo", payload: { n: 1 } };
  const { data } = await client.mutate({ mutation: gql(PUBLISH), variables });
  const box = inbox();
  const subscription = client
    .subscribe({ query: gql(FOLLOW), variables: { topics: ["apollo"] } })
    .subscribe({ next: box.put, error: box.fail });
  assert.equal((await box.take()).data.messages.cursor, data.publish.cursor);
  await publish(broker, "apollo", { n: 2 });
  assert.deepEqual((await box.take()).data.messages.payload, { n: 2 });
  subscription.unsubscribe();
  await until(async () => (await subscribers(broker, "apollo")) === 0);
  const query = await client.query({ query: BROKER });
  assert.equal(query.data.broker.engine, "memory");
});

test("an error reaches the caller with its code", async (t) => {
  const broker = await startBroker(t);
  const client = overSocket(t, broker);
  const mutation = gql(PUBLISH);
  await assert.rejects(client.mutate({ mutation, variables: { topic: "a b", payload: 1 } }),
    (error) => error.errors?.[0].extensions.code === "BAD_TOPIC");
});

test("a subscription goes on after the broker restarts", async (t) => {
  const broker = await startBroker(t);
  const client = overSocket(t, broker, {
    retryAttempts: 50, shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  });
  await publish(broker, "apollo", "before");
  const box = inbox();
  client.subscribe({ query: gql(FOLLOW), variables: { topics: ["apollo"] } })
    .subscribe({ next: box.put, error: box.fail });
  assert.equal((await box.take()).data.messages.payload, "before");
  await broker.stop();
  const next = await startBroker(t, { listen: broker.client });
  await publish(next, "apollo", "after");
  assert.equal((await box.take()).data.messages.payload, "after");
});

test("queries that are sent together are answered together", async (t) => {
  const broker = await startBroker(t);
  const { calls, fetch } = recorder();
  const client = apollo(t, new BatchHttpLink({ uri: broker.graphql, fetch, batchInterval: 20 }));
  const engine = gql`query Engine { broker { engine } }`;
  const limits = gql`query Limits { broker { limits } }`;
  const [first, second] = await Promise.all([engine, limits].map((query) =>
    client.query({ query, fetchPolicy: "no-cache" })));
  assert.equal(first.data.broker.engine, "memory");
  assert.equal(typeof second.data.broker.limits, "object");
  assert.equal(calls.length, 1);
  assert.equal(calls[0].answer.length, 2);
});

test("a persisted query is unknown once, and then by its hash alone", async (t) => {
  const broker = await startBroker(t);
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  for (const useGETForHashedQueries of [false, true]) {
    const query = gql(`query Hashed${useGETForHashedQueries} { broker { version } }`);
    const { calls, fetch } = recorder();
    const persisted = () => new PersistedQueryLink({ sha256, useGETForHashedQueries });
    const ask = async () => {
      const link = ApolloLink.from([persisted(), new HttpLink({ uri: broker.graphql, fetch })]);
      const { data } = await apollo(t, link).query({ query });
      assert.ok(data.broker.version);
    };
    await ask();
    assert.equal(calls[0].answer.errors[0].extensions.code, "PERSISTED_QUERY_NOT_FOUND");
    assert.equal(calls.length, 2);
    await ask();
    assert.equal(calls.length, 3);
    assert.equal(calls[2].method, useGETForHashedQueries ? "GET" : "POST");
  }
});

test("subscriptions in parts over HTTP, queries and mutations beside them", async (t) => {
  const broker = await startBroker(t);
  const client = apollo(t, new HttpLink({ uri: broker.graphql }));
  const box = inbox();
  const subscription = client
    .subscribe({ query: gql(FOLLOW), variables: { topics: ["parts"] } })
    .subscribe({ next: box.put, error: box.fail });
  await until(async () => (await subscribers(broker, "parts")) === 1);
  for (const n of [1, 2, 3]) {
    await client.mutate({ mutation: gql(PUBLISH), variables: { topic: "parts", payload: { n } } });
    assert.deepEqual((await box.take()).data.messages.payload, { n });
  }
  assert.equal((await client.query({ query: BROKER })).data.broker.engine, "memory");
  subscription.unsubscribe();
  await until(async () => (await subscribers(broker, "parts")) === 0);
});

test("in parts: errors of an operation, and a retry after one of the transport", async (t) => {
  const broker = await startBroker(t);
  const bad = inbox();
  apollo(t, new HttpLink({ uri: broker.graphql }))
    .subscribe({ query: gql`subscription { messages(topics: "a", after: "zz-1") { topic } }` })
    .subscribe({ next: bad.put, error: bad.fail });
  const { error } = await bad.take();
  assert.equal(error.errors[0].extensions.code, "CURSOR_EXPIRED");
  const attempts = { max: 100, retryIf: () => true };
  const retry = new RetryLink({ delay: { initial: 50, max: 50, jitter: false }, attempts });
  const client = apollo(t, ApolloLink.from([retry, new HttpLink({ uri: broker.graphql })]));
  const box = inbox();
  client.subscribe({ query: gql(FOLLOW), variables: { topics: ["parts"] } })
    .subscribe({ next: box.put, error: box.fail });
  await until(async () => (await subscribers(broker, "parts")) === 1);
  await broker.stop();
  const next = await startBroker(t, { listen: broker.client });
  await publish(next, "parts", "after");
  assert.equal((await box.take()).data.messages.payload, "after");
});
