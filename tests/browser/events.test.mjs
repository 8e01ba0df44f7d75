/** A browser's EventSource: it comes back by itself, and misses nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { publish, startBroker, subscribers, until } from "../clients/broker.mjs";
import { startWire } from "../clients/wire.mjs";
import { openPage } from "./browser.mjs";

/** Opens an EventSource in the page; what comes is in `window.seen`. */
async function listen(page, path, type = "message") {
  await page.evaluate(([url, kind]) => {
    window.seen = [];
    window.opened = 0;
    window.source = new EventSource(url);
    window.source.onopen = () => (window.opened += 1);
    window.source.addEventListener(kind, ({ data, lastEventId }) =>
      window.seen.push({ value: JSON.parse(data), lastEventId }));
  }, [path, type]);
  await page.waitForFunction(() => window.opened === 1);
}

const arrived = (page, count) =>
  page.waitForFunction((least) => window.seen.length >= least, count);

const payloads = (page) => page.evaluate(() =>
  window.seen.map(({ value }) => (value.data?.messages ?? value).payload));

test("an EventSource on a topic goes on where its connection broke", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  const { page } = await openPage(t, wire.http, { tolerant: true });
  await listen(page, "/topics/live.*");
  const cursors = [];
  const send = async (n) => cursors.push((await publish(broker, `live.${n % 2}`, n)).cursor);
  for (const n of [1, 2, 3]) await send(n);
  await arrived(page, 3);
  wire.cut();
  for (const n of [4, 5, 6]) await send(n);
  await arrived(page, 6);
  await send(7);
  await arrived(page, 7);
  assert.deepEqual(await payloads(page), [1, 2, 3, 4, 5, 6, 7]);
  const ids = await page.evaluate(() => window.seen.map(({ lastEventId }) => lastEventId));
  assert.deepEqual(ids, cursors);
});

test("a quiet EventSource misses nothing either", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  const { page } = await openPage(t, wire.http, { tolerant: true });
  await listen(page, "/topics/quiet");
  wire.cut();
  await publish(broker, "quiet", "while it was away");
  await arrived(page, 1);
  assert.deepEqual(await payloads(page), ["while it was away"]);
});

test("an EventSource on a subscription resumes as well", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  const { page } = await openPage(t, wire.http, { tolerant: true });
  const query = "subscription { messages(topics: \"gql\") { payload } }";
  await listen(page, `/graphql?query=${encodeURIComponent(query)}`, "next");
  await publish(broker, "gql", 1);
  await arrived(page, 1);
  wire.cut();
  await publish(broker, "gql", 2);
  await arrived(page, 2);
  assert.deepEqual(await payloads(page), [1, 2]);
});

test("an EventSource whose position is lost ends, and does not come back for ever", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http, { tolerant: true });
  await listen(page, "/topics/lost");
  await publish(broker, "lost", 1);
  await arrived(page, 1);
  await broker.stop();
  // The memory engine begins a new log: the position is of one that is gone.
  const next = await startBroker(t, { listen: broker.client });
  await page.waitForFunction(() => window.source.readyState === EventSource.CLOSED);
  const status = await page.evaluate(async (id) => {
    const headers = { accept: "text/event-stream", "last-event-id": id };
    return (await fetch("/topics/lost", { headers })).status;
  }, "zzz-1");
  assert.equal(status, 410);
  assert.equal(await subscribers(next, "lost"), 0);
});

test("a page that goes away leaves nothing behind", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http);
  await listen(page, "/topics/gone");
  assert.equal(await subscribers(broker, "gone"), 1);
  await page.evaluate(() => window.source.close());
  await until(async () => (await subscribers(broker, "gone")) === 0);
});
