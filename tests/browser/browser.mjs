/** One browser for a test file, and pages in it that fail a test when they log an error. */

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { chromium } from "playwright-core";
import { finallyDo } from "../clients/broker.mjs";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const PATIENCE_MS = 15_000;

let browser;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: FLAGS });
});
after(() => browser?.close());

/**
 * Opens the console of a broker.
 *
 * @param {import("node:test").TestContext} t
 * @param {string} http where it is served
 * @param {{hash?: string, scheme?: "light" | "dark", width?: number, tolerant?: boolean}} options
 *   `tolerant` of logged errors, for a test that breaks the connection on purpose
 */
export async function openPage(t, http, options = {}) {
  const { hash = "", scheme = "light", width = 1280, tolerant = false } = options;
  const page = await browser.newPage({ colorScheme: scheme, viewport: { width, height: 900 } });
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (line) => line.type() === "error" && !tolerant && faults.push(line.text()));
  finallyDo(t, async () => {
    await page.close();
    assert.deepEqual(faults, [], "what the page logged");
  });
  const answer = await page.goto(`${http}/${hash}`);
  assert.equal(answer.status(), 200);
  await page.getByText("Connected", { exact: true }).waitFor();
  return { page, answer };
}
