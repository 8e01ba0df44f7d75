/** What a person does with the console, against the real broker. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { publish, startBroker, subscribers, until } from "../clients/broker.mjs";
import { startWire } from "../clients/wire.mjs";
import { openPage } from "./browser.mjs";

/** The payloads in the tail, newest first. */
const tailTexts = (page) => page.locator("#tail pre").allTextContents();
const tailHash = (topic) => `#/topics/${encodeURIComponent(topic)}`;

test("the page is served with a strict policy, and asks nobody else for anything", async (t) => {
  const broker = await startBroker(t);
  const { page, answer } = await openPage(t, broker.http);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.reload();
  await page.getByText("Connected", { exact: true }).waitFor();
  assert.match(answer.headers()["content-security-policy"] ?? "", /default-src 'self'/);
  assert.ok(asked.length > 5);
  for (const url of asked) assert.ok(url.startsWith(broker.http), url);
  await page.getByText(/^memory engine on /).waitFor();
});

test("topics appear by themselves, with live rates, and can be filtered and sorted", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http);
  await page.getByText("No topics yet.").waitFor();
  for (const topic of ["quotes.AAPL", "quotes.MSFT", "fleet.van1"]) {
    await publish(broker, topic, { topic });
  }
  const names = page.locator("#topics tbody a");
  await names.nth(2).waitFor();
  assert.deepEqual(await names.allTextContents(), ["fleet.van1", "quotes.AAPL", "quotes.MSFT"]);
  await until(async () => {
    await publish(broker, "quotes.MSFT", {});
    const cells = await page.getByRole("row", { name: /quotes\.MSFT/ }).locator("td");
    return Number(await cells.nth(1).textContent()) > 0
      && Number(await page.locator("#stat-published").textContent()) > 0;
  });
  await page.getByRole("button", { name: "Kept" }).click();
  await until(async () => (await names.first().textContent()) === "quotes.MSFT");
  await page.getByLabel("Filter topics").fill("aapl");
  assert.deepEqual(await names.allTextContents(), ["quotes.AAPL"]);
  await page.getByLabel("Filter topics").fill("fleet.>");
  await page.getByRole("link", { name: "fleet.van1" }).waitFor();
  await until(async () => (await names.count()) === 1);
  await page.getByLabel("Filter topics").fill("nowhere");
  await page.getByText("No topic matches “nowhere”.").waitFor();
});

test("a topic's tail shows what is kept and what comes, newest on top", async (t) => {
  const broker = await startBroker(t);
  await publish(broker, "quotes.AAPL", { bid: 1 });
  await publish(broker, "other", { bid: 0 });
  const { page } = await openPage(t, broker.http);
  await page.getByRole("link", { name: "quotes.AAPL" }).click();
  await page.getByText("{ \"bid\": 1 }").waitFor();
  await publish(broker, "quotes.AAPL", { bid: 2, html: "<b>&amp;</b>" });
  await page.getByText("\"bid\": 2").waitFor();
  assert.deepEqual(await tailTexts(page), [
    "{ \"bid\": 2, \"html\": \"<b>&amp;</b>\" }", "{ \"bid\": 1 }",
  ]);
  await page.getByRole("button", { name: "Pause" }).click();
  await publish(broker, "quotes.AAPL", { bid: 3 });
  await page.getByText("Paused, 1 new").waitFor();
  assert.equal((await tailTexts(page)).length, 2);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("{ \"bid\": 3 }").waitFor();
  await page.getByRole("link", { name: "Close" }).click();
  await page.getByText("Choose a topic").waitFor();
  await until(async () => (await subscribers(broker, "quotes.AAPL")) === 0);
});

test("a tail holds 200 rows, however many messages come", async (t) => {
  const broker = await startBroker(t);
  await publish(broker, "many", -1);
  const { page } = await openPage(t, broker.http, { hash: tailHash("many") });
  await page.getByText("-1", { exact: true }).waitFor();
  const burst = Array.from({ length: 250 }, (_, index) => index);
  for (const each of burst) await publish(broker, "many", each);
  // In the tail: the list of topics counts to 249 as well, and earlier.
  await page.locator("#tail").getByText("249", { exact: true }).waitFor();
  const texts = await tailTexts(page);
  assert.deepEqual(texts, burst.slice(-200).reverse().map(String));
});

test("numbers keep every digit", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http, { hash: tailHash("exact") });
  await page.getByLabel("Payload").fill("[9007199254740993, 0.1]");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByText("[9007199254740993, 0.1]").waitFor();
});

test("the form publishes, and says what is wrong where it is wrong", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http, { hash: tailHash("form.a") });
  const payload = page.getByLabel("Payload");
  const send = page.getByRole("button", { name: "Publish", exact: true });
  await payload.fill("{\n  \"a\": 1,\n}");
  await send.click();
  await page.getByText("Not JSON, line 3, column 1").waitFor();
  assert.equal(await payload.getAttribute("aria-invalid"), "true");
  await payload.fill("{\"a\": 1}");
  await page.getByText("Not JSON").waitFor({ state: "hidden" });
  await page.getByLabel("Key").fill("k1");
  await payload.press("Control+Enter");
  await page.getByText(/^Published at .*, cursor /).waitFor();
  await page.getByText("{ \"a\": 1 }").waitFor();
  await page.getByText("key k1").waitFor();
  await page.locator("#publish-topic").fill("form..a");
  await send.click();
  await page.locator("#publish-topic-fault").getByText("BAD_TOPIC").waitFor();
  await page.locator("#publish-topic").fill("");
  await send.click();
  await page.getByText("A message needs a topic").waitFor();
});

test("the editor runs queries, mutations and subscriptions", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http, { hash: "#/query" });
  const results = page.locator("#results li");
  await page.getByRole("button", { name: "Look around" }).click();
  await page.getByLabel("Document").press("Control+Enter");
  await results.getByText("\"engine\": \"memory\"").waitFor();
  await page.getByText("Done", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await results.getByText("greetings.all").first().waitFor();
  await page.getByRole("button", { name: "Subscribe" }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await results.getByText("\"Hello\"").first().waitFor();
  await publish(broker, "other", { late: true });
  await results.getByText("\"late\": true").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped, 2 results").waitFor();
  await until(async () => (await subscribers(broker, "other")) === 0);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("Results appear here").waitFor();
});

test("the editor's errors can be read", async (t) => {
  const broker = await startBroker(t);
  const { page } = await openPage(t, broker.http, { hash: "#/query" });
  const results = page.locator("#results li");
  await page.getByLabel("Document").fill("{ nothing }");
  await page.getByLabel("Variables").fill("{");
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByText("Not JSON").waitFor();
  await page.getByLabel("Variables").fill("");
  await page.getByRole("button", { name: "Run" }).click();
  await results.getByText("nothing").first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Run" }).count(), 1);
});

test("what is published while the network is away is shown once, in order", async (t) => {
  const broker = await startBroker(t);
  const wire = await startWire(t, broker);
  await publish(broker, "gap", 0);
  const { page } = await openPage(t, wire.http, { hash: tailHash("gap"), tolerant: true });
  await page.getByText("0", { exact: true }).first().waitFor();
  for (let each = 1; each <= 30; each += 1) {
    if (each % 10 === 5) wire.cut();
    await publish(broker, "gap", each);
  }
  await page.locator("#tail").getByText("30", { exact: true }).waitFor();
  const expected = Array.from({ length: 31 }, (_, index) => String(30 - index));
  assert.deepEqual(await tailTexts(page), expected);
});

test("the page goes on by itself after the broker restarts, and says so", async (t) => {
  const broker = await startBroker(t);
  await publish(broker, "restart", "before");
  const options = { hash: tailHash("restart"), tolerant: true };
  const { page } = await openPage(t, broker.http, options);
  await page.getByText("\"before\"").waitFor();
  await broker.stop();
  await page.getByText("Reconnecting").waitFor();
  const next = await startBroker(t, { listen: broker.client });
  await publish(next, "restart", "after");
  await page.getByRole("button", { name: "Connect now" }).click({ timeout: 500 }).catch(() => {});
  await page.getByText("\"after\"").waitFor();
  await page.getByText("The broker no longer holds").waitFor();
  const texts = await tailTexts(page);
  assert.deepEqual(texts, ["\"after\"", "\"before\""]);
});
