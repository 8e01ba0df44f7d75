/** GraphQL over HTTP with plain fetch: GET, POST, batches, what is accepted and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PUBLISH, post, publish, startBroker } from "./broker.mjs";

const ENGINE = "query Engine { broker { engine } }";
const FINE = { data: { broker: { engine: "memory" } } };
const RESPONSE_JSON = "application/graphql-response+json";

async function get(broker, parameters, accept = "application/json") {
  const address = `${broker.graphql}?${new URLSearchParams(parameters)}`;
  const response = await fetch(address, { headers: { accept } });
  return { status: response.status, body: await response.json() };
}

test("GET answers queries, with variables and an operation name", async (t) => {
  const broker = await startBroker(t);
  await publish(broker, "http.a", 7);
  assert.deepEqual(await get(broker, { query: ENGINE }), { status: 200, body: FINE });
  const query = `${ENGINE} query Last($t: [String!]!) { last(topics: $t) { payload } }`;
  const variables = JSON.stringify({ t: ["http.*"] });
  const { body } = await get(broker, { query, variables, operationName: "Last" });
  assert.deepEqual(body, { data: { last: [{ payload: 7 }] } });
});

test("GET refuses mutations with 405", async (t) => {
  const broker = await startBroker(t);
  const query = "mutation { publish(topic: \"a\", payload: 1) { cursor } }";
  const { status, body } = await get(broker, { query });
  assert.equal(status, 405);
  assert.ok(body.errors[0].message);
});

test("POST answers queries, mutations and batches, in order", async (t) => {
  const broker = await startBroker(t);
  const { status, body } = await post(broker, { query: ENGINE });
  assert.deepEqual({ status, body }, { status: 200, body: FINE });
  const mutations = [1, 2, 3].map((payload) => ({
    query: PUBLISH, variables: { topic: "http.batch", payload },
  }));
  const batch = await post(broker, [...mutations, { query: ENGINE }, { query: "{ nothing }" }]);
  assert.equal(batch.body.length, 5);
  assert.deepEqual(batch.body[3], FINE);
  assert.ok(batch.body[4].errors[0].message);
  const history = "{ history(topics: [\"http.batch\"], first: 5) { nodes { payload } } }";
  const { body: kept } = await post(broker, { query: history });
  assert.deepEqual(kept.data.history.nodes.map(({ payload }) => payload), [1, 2, 3]);
});

test("the media type that is accepted decides the status of a refusal", async (t) => {
  const broker = await startBroker(t);
  const table = [
    ["application/json", 200, "application/json"],
    [RESPONSE_JSON, 400, RESPONSE_JSON],
    [`${RESPONSE_JSON}, application/json;q=0.9`, 400, RESPONSE_JSON],
  ];
  for (const [accept, status, type] of table) {
    const answer = await post(broker, { query: "{ nothing }" }, { accept });
    assert.equal(answer.status, status, accept);
    assert.ok(answer.type.startsWith(type), `${accept} was answered with ${answer.type}`);
    assert.ok(answer.body.errors.length > 0 && !("data" in answer.body));
  }
});

test("a body that is no request is refused with 400 and a reason", async (t) => {
  const broker = await startBroker(t);
  for (const body of ["{", "1", "{}", "{\"query\": 1}", "{\"query\": \"{\"}"]) {
    const response = await fetch(broker.graphql, {
      method: "POST", body,
      headers: { "content-type": "application/json", accept: RESPONSE_JSON },
    });
    assert.equal(response.status, 400, body);
    const answer = await response.json();
    assert.ok(answer.errors[0].message, body);
  }
});

test("errors of the broker carry their code", async (t) => {
  const broker = await startBroker(t);
  const { body } = await post(broker, { query: PUBLISH, variables: { topic: "a..b", payload: 1 } });
  assert.equal(body.errors[0].extensions.code, "BAD_TOPIC");
  assert.deepEqual(body.errors[0].path, ["publish"]);
});
