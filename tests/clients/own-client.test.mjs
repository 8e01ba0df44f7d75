/** The console's own client: it loses nothing when the network breaks under it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { Client, retryDelayMs } from "../../web/client.js";
import { finallyDo, inbox, publish, startBroker, subscribers, until } from "./broker.mjs";
import { startWire } from "./wire.mjs";

/** A client whose states land in an inbox. */
function connect(t, url, options = {}) {
  const states = inbox();
  const client = new Client(url, { WebSocket, onState: states.put, ...options });
  finallyDo(t, () => client.close());
  const reach = async (kind) => {
    for (;;) {
      const state = await states.take();
      if (state.kind === kind) return state;
    }
  };
  return { client, reach };
}

const LIVE = "subscription { messages(topics: [\"wire.>\"]) { payload } }";

test("nothing is lost or doubled while the wire breaks again and again", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  await publish(broker, "wire.a", "before");
  const { client, reach } = connect(t, wire.ws);
  const received = inbox();
  await reach("open");
  client.start({ query: LIVE }, { next: received.put, error: (errors) => received.fail(errors) });
  await until(async () => (await subscribers(broker, "wire.a")) === 1);
  const expected = [];
  for (let round = 0; round < 4; round += 1) {
    for (let each = 0; each < 25; each += 1) {
      const payload = round * 25 + each;
      expected.push(payload);
      await publish(broker, "wire.a", payload);
      if (each === 10) wire.cut();
    }
    await reach("open");
  }
  const results = await received.takeMany(expected.length);
  assert.deepEqual(results.map(({ data }) => data.messages.payload), expected);
});

test("a subscription that was quiet misses nothing either", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  await publish(broker, "wire.b", "before");
  const { client, reach } = connect(t, wire.ws);
  const received = inbox();
  await reach("open");
  client.start({ query: LIVE }, { next: received.put, error: (errors) => received.fail(errors) });
  await until(async () => (await subscribers(broker, "wire.b")) === 1);
  wire.cut();
  await publish(broker, "wire.b", "while away");
  assert.equal((await received.take()).data.messages.payload, "while away");
});

test("what may have been done is not done again", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  const { client, reach } = connect(t, wire.ws);
  await reach("open");
  const mutation = { query: "mutation { publish(topic: \"wire.c\", payload: 1) { cursor } }" };
  const answer = client.request(mutation, { repeatable: false });
  wire.cut();
  await assert.rejects(answer, ([error]) => error.extensions.code === "CONNECTION");
  const query = { query: "{ broker { engine } }" };
  assert.equal((await client.request(query)).broker.engine, "memory");
});

test("a final close code ends it, others only make it wait", async (t) => {
  const broker = await startBroker(t, { flags: ["--set", "limits.init_timeout=300ms"] });
  const again = connect(t, broker.ws, {
    WebSocket: class extends WebSocket {
      send() {}
    },
  });
  assert.equal((await again.reach("waiting")).code, 4408);
  const over = connect(t, broker.ws, {
    WebSocket: class extends WebSocket {
      send(text) {
        super.send(text);
        super.send(text);
      }
    },
  });
  const failed = inbox();
  over.client.start({ query: LIVE }, { error: failed.put });
  assert.equal((await over.reach("closed")).code, 4429);
  assert.equal((await failed.take())[0].extensions.code, "CONNECTION");
});

test("retries wait longer and longer, up to a limit, and not all the same", () => {
  const delays = [0, 1, 2, 5, 50].map((failures) => retryDelayMs(failures, () => 1));
  assert.deepEqual(delays, [250, 500, 1000, 8000, 10_000]);
  assert.equal(retryDelayMs(1, () => 0), 250);
});
