/**
 * Apollo Federation: the broker as a subgraph beside one of another make, composed by another
 * project's composer and served by another project's gateway, queries and subscriptions alike.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createGatewayRuntime } from "@graphql-hive/gateway-runtime";
import { composeServices } from "@theguild/federation-composition";
import { parse } from "graphql";
import { createClient } from "graphql-sse";
import { createSchema, createYoga } from "graphql-yoga";
import { finallyDo, inbox, post, startBroker, until } from "./broker.mjs";

const SAMPLES = fileURLToPath(new URL("../../schema/examples", import.meta.url));

/** The other subgraph: what instruments are called. It knows of quotes only their key. */
const INSTRUMENTS = `
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3",
  import: ["@key", "@shareable"])

scalar DateTime

type Query {
  instrument(symbol: ID!): Instrument
  instruments: [Instrument!]!
  tradingDays: DayConnection!
}

type Instrument @key(fields: "symbol") {
  symbol: ID!
  listed: DateTime
  quote: Quote
}

type Quote @key(fields: "symbol") {
  symbol: ID!
  name: String
}

"Another list in pages: both subgraphs have a PageInfo."
type DayConnection {
  nodes: [DateTime!]!
  pageInfo: PageInfo!
}

type PageInfo @shareable {
  hasNextPage: Boolean!
  hasPreviousPage: Boolean!
  startCursor: String
  endCursor: String
}
`;

const NAMES = { AAPL: "Apple", "BRK.B": "Berkshire Hathaway" };

/** The other subgraph's server. What it serves is its SDL without the words for composers. */
function instruments() {
  const named = ({ symbol, ...rest }) => ({ ...rest, symbol, name: NAMES[symbol] });
  const instrument = (symbol) => ({ symbol, quote: named({ symbol }) });
  const served = INSTRUMENTS.replace(/extend schema[^)]*\)/, "").replace(/ @\w+(\([^)]*\))?/g, "")
    + `scalar _Any
       union _Entity = Instrument | Quote
       extend type Query { _entities(representations: [_Any!]!): [_Entity]! }`;
  const schema = createSchema({ typeDefs: served, resolvers: {
    Query: {
      instrument: (_, { symbol }) => instrument(symbol),
      instruments: () => Object.keys(NAMES).map(instrument),
      _entities: (_, { representations }) => representations.map(named),
    },
  } });
  return createYoga({ schema, logging: false });
}

/** An HTTP server of this process, on a port of its own; its address. */
async function serve(t, handler) {
  const server = http.createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  finallyDo(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/graphql`;
}

const startTyped = (t) => startBroker(t, { flags: ["--schema", SAMPLES] });

/** Both subgraphs behind a gateway that follows subscriptions in the given way. */
async function startGateway(t, broker, subscriptions) {
  const others = await serve(t, instruments());
  const { body } = await post(broker, { query: "{ _service { sdl } }" });
  const { supergraphSdl, errors } = composeServices([
    { name: "tidings", url: broker.graphql, typeDefs: parse(body.data._service.sdl) },
    { name: "instruments", url: others, typeDefs: parse(INSTRUMENTS) },
  ]);
  assert.equal(errors, undefined, String(errors));
  const gateway = createGatewayRuntime({
    supergraph: supergraphSdl,
    logging: false,
    maskedErrors: false,
    transportEntries: { tidings: { options: { subscriptions } } },
  });
  finallyDo(t, () => gateway[Symbol.asyncDispose]());
  const graphql = await serve(t, gateway);
  const ask = async (query, variables) => {
    const answer = await post({ graphql }, { query, variables });
    assert.equal(answer.body.errors, undefined, JSON.stringify(answer.body.errors));
    return answer.body.data;
  };
  return { graphql, ask };
}

async function publish(broker, prices) {
  const quote = { session: "REGULAR", book: [], ...prices };
  const query = "mutation ($quote: QuoteInput!) { publishQuote(quote: $quote) { topic } }";
  const { body } = await post(broker, { query, variables: { quote } });
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  return body.data.publishQuote.topic;
}

/** How many subscriptions the broker serves, whatever they came over. */
async function open(broker) {
  const metrics = await (await fetch(`http://${broker.admin}/metrics`)).text();
  return Number(/^tidings_subscriptions (\d+)/m.exec(metrics)[1]);
}

const OVER_WEBSOCKET = { kind: "ws", location: "/graphql" };
const OVER_EVENTS = { kind: "http" };

test("a query takes its fields from both subgraphs", async (t) => {
  const broker = await startTyped(t);
  const gateway = await startGateway(t, broker, OVER_WEBSOCKET);
  await publish(broker, { symbol: "AAPL", bid: 189.5, ask: 189.6 });
  const data = await gateway.ask('{ quote(symbol: "AAPL") { bid session name } }');
  assert.deepEqual(data, { quote: { bid: 189.5, session: "REGULAR", name: "Apple" } });
});

test("another subgraph's objects are completed from the newest message", async (t) => {
  const broker = await startTyped(t);
  const gateway = await startGateway(t, broker, OVER_WEBSOCKET);
  await publish(broker, { symbol: "AAPL", bid: 1, ask: 2 });
  await publish(broker, { symbol: "AAPL", bid: 3, ask: 4 });
  const topic = await publish(broker, { symbol: "BRK.B", bid: 5, ask: 6 });
  assert.equal(topic, "quotes.BRK%2EB");
  const { instruments } = await gateway.ask("{ instruments { symbol quote { name bid } } }");
  assert.deepEqual(instruments, [
    { symbol: "AAPL", quote: { name: "Apple", bid: 3 } },
    { symbol: "BRK.B", quote: { name: "Berkshire Hathaway", bid: 5 } },
  ]);
});

test("_entities answers in order, with null where nothing is kept", async (t) => {
  const broker = await startTyped(t);
  await publish(broker, { symbol: "AAPL", bid: 1, ask: 2 });
  const query = `query ($representations: [_Any!]!) {
    _entities(representations: $representations) { __typename ... on Quote { symbol bid } }
  }`;
  const of = (symbol) => ({ __typename: "Quote", symbol });
  const representations = [of("MSFT"), of("AAPL"), of("AAPL")];
  const { body } = await post(broker, { query, variables: { representations } });
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  const found = { __typename: "Quote", symbol: "AAPL", bid: 1 };
  assert.deepEqual(body.data._entities, [null, found, found]);
});

for (const [way, subscriptions] of [["WebSocket", OVER_WEBSOCKET], ["events", OVER_EVENTS]]) {
  test(`a subscription over ${way} is enriched by the other subgraph`, async (t) => {
    const broker = await startTyped(t);
    const gateway = await startGateway(t, broker, subscriptions);
    const client = createClient({ url: gateway.graphql, retryAttempts: 0 });
    finallyDo(t, () => client.dispose());
    const box = inbox();
    await publish(broker, { symbol: "AAPL", bid: 1, ask: 2 });
    const stop = client.subscribe({ query: "subscription { quote(last: 1) { symbol bid name } }" },
      { next: box.put, error: box.fail, complete: () => {} });
    const take = async () => (await box.take()).data.quote;
    assert.deepEqual(await take(), { symbol: "AAPL", bid: 1, name: "Apple" });
    await publish(broker, { symbol: "BRK.B", bid: 3, ask: 4 });
    assert.deepEqual(await take(), { symbol: "BRK.B", bid: 3, name: "Berkshire Hathaway" });
    await publish(broker, { symbol: "AAPL", bid: 5, ask: 6 });
    assert.deepEqual(await take(), { symbol: "AAPL", bid: 5, name: "Apple" });
    stop();
    await until(async () => (await open(broker)) === 0);
  });
}
