/** @tidings/yjs in pages: as browsers load it, without a bundler, and with what they have. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { finallyDo, startBroker } from "../clients/broker.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ROOT = new URL("../../", import.meta.url);

/** Where a page finds what: the package, and what it needs beside it. */
const FOLDERS = { "/tidings/": "web/yjs/dist/", "/modules/": "tests/clients/node_modules/" };
const IMPORTS = {
  "@tidings/yjs": "/tidings/index.js",
  "graphql-ws": "/modules/graphql-ws/dist/client.js",
  "lib0/": "/modules/lib0/",
  "y-protocols/": "/modules/y-protocols/",
  "yjs": "/modules/yjs/dist/yjs.mjs",
};

const PAGE = `<!doctype html><title>editor</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module">
import { TidingsProvider } from "@tidings/yjs";
import * as Y from "yjs";
const { ws, name } = Object.fromEntries(new URLSearchParams(location.search));
const doc = new Y.Doc();
const text = doc.getText("text");
const provider = new TidingsProvider(ws, "docs.page", doc, { awarenessMs: 5 });
provider.awareness.setLocalState({ name });
const names = () => [...provider.awareness.getStates().values()].map((state) => state.name).sort();
Object.assign(window, { provider, text, names });
</script>`;

async function servePage(t) {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://page");
    const prefix = Object.keys(FOLDERS).find((each) => pathname.startsWith(each));
    if (!prefix) return response.setHeader("content-type", "text/html").end(PAGE);
    const path = FOLDERS[prefix] + pathname.slice(prefix.length);
    const file = /\.m?js$/.test(path) ? path : `${path}.js`;
    const text = await readFile(new URL(file, ROOT)).catch(() => null);
    response.writeHead(text ? 200 : 404, { "content-type": "text/javascript" }).end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  finallyDo(t, () => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

test("two pages write one text, see each other come and go, and merge what was offline",
  async (t) => {
    const origin = await servePage(t);
    const broker = await startBroker(t, { flags: ["--origin", origin] });
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    finallyDo(t, () => browser.close());
    const open = async (name) => {
      const page = await browser.newPage();
      const faults = [];
      page.on("pageerror", (error) => faults.push(String(error)));
      await page.goto(`${origin}/?${new URLSearchParams({ ws: broker.ws, name })}`);
      await page.waitForFunction("window.provider?.synced").catch((error) => {
        throw new Error(faults.join("\n"), { cause: error });
      });
      return page;
    };
    const [ada, bob] = [await open("ada"), await open("bob")];
    await ada.evaluate("text.insert(0, 'Minutes')");
    await bob.waitForFunction("text.toString() === 'Minutes'");
    await ada.waitForFunction("names().join() === 'ada,bob'");
    await ada.evaluate("provider.disconnect(); text.insert(0, 'The '); text.delete(4, 1)");
    await bob.waitForFunction("names().join() === 'bob'");
    await bob.evaluate("text.insert(7, ' of Monday')");
    await ada.evaluate("provider.connect()");
    for (const page of [ada, bob]) {
      await page.waitForFunction("text.toString() === 'The inutes of Monday'");
      await page.waitForFunction("names().join() === 'ada,bob'");
    }
    await bob.close();
    await ada.waitForFunction("names().join() === 'ada'");
    const late = await open("late");
    assert.equal(await late.evaluate("text.toString()"), "The inutes of Monday");
  });
