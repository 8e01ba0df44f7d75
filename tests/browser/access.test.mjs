/** The console for everybody: with the keyboard alone, on a phone, in the dark, with a reader. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { publish, startBroker } from "../clients/broker.mjs";
import { openPage } from "./browser.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function startWithMessages(t) {
  const broker = await startBroker(t);
  const payload = { symbol: "AAPL", bid: 1.5, isOpen: true, note: null, tags: ["a", "b"] };
  for (const topic of ["quotes.AAPL", "fleet.van1"]) await publish(broker, topic, payload);
  return broker;
}

test("axe finds nothing, in both views and both schemes", async (t) => {
  const broker = await startWithMessages(t);
  for (const scheme of ["light", "dark"]) {
    for (const hash of ["#/topics/quotes.AAPL", "#/query"]) {
      const { page } = await openPage(t, broker.http, { hash, scheme });
      if (hash !== "#/query") await page.locator("#tail li").first().waitFor();
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html)}`);
      assert.deepEqual(found, [], `${scheme} ${hash}`);
    }
  }
});

test("a narrow window does not scroll sideways", async (t) => {
  const broker = await startWithMessages(t);
  for (const width of [1600, 1000, 768, 360]) {
    for (const hash of ["#/topics/quotes.AAPL", "#/query"]) {
      const { page } = await openPage(t, broker.http, { hash, width });
      const overflow = await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, `${hash} at ${width} pixels`);
    }
  }
});

test("a topic is chosen and a message published with the keyboard alone", async (t) => {
  const broker = await startWithMessages(t);
  const { page } = await openPage(t, broker.http);
  await page.getByRole("link", { name: "quotes.AAPL" }).waitFor();
  const tabTo = async (id) => {
    for (let steps = 0; steps < 40; steps += 1) {
      await page.keyboard.press("Tab");
      const found = await page.evaluate((wanted) =>
        [document.activeElement.id, document.activeElement.textContent].includes(wanted), id);
      if (found) return;
    }
    assert.fail(`${id} is not reached with Tab`);
  };
  await tabTo("quotes.AAPL");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "quotes.AAPL" }).waitFor();
  assert.equal(await page.getByLabel("Topic", { exact: true }).inputValue(), "quotes.AAPL");
  await tabTo("publish-payload");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("\"by hand\"");
  await page.keyboard.press("Control+Enter");
  await page.locator("#tail").getByText("\"by hand\"").waitFor();
});
