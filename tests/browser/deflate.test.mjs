/** permessage-deflate in browsers: Chromium and Firefox read the corpus and check every message. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { finallyDo, startBroker } from "../clients/broker.mjs";
import { CORPUS_FLAGS, MESSAGES, publishCorpus } from "../clients/corpus.mjs";

const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const CLIENT = new URL("../clients/deflate-client.mjs", import.meta.url);

/** The page reads the corpus and says how that ended. */
const PAGE = `<!doctype html><title>corpus</title><script type="module">
import { readCorpus } from "./client.mjs";
const { ws, count } = Object.fromEntries(new URLSearchParams(location.search));
const echo = "what the client compresses ".repeat(1000);
let outcome;
try {
  const socket = new WebSocket(ws, "graphql-transport-ws");
  outcome = await readCorpus(socket, { topic: "corpus", count: Number(count), echo });
} catch (error) {
  outcome = { error: String(error) };
}
await fetch("/outcome", { method: "POST", body: JSON.stringify(outcome) });
</script>`;

/** Serves the page, and gives what it reports. */
async function servePage(t) {
  const client = await readFile(CLIENT);
  let report;
  const outcome = new Promise((resolve) => (report = resolve));
  const server = http.createServer(async (request, response) => {
    if (request.method === "POST") {
      let body = "";
      for await (const part of request) body += part;
      report(JSON.parse(body));
      response.end();
    } else if (request.url.startsWith("/client.mjs")) {
      response.setHeader("content-type", "text/javascript").end(client);
    } else {
      response.setHeader("content-type", "text/html").end(PAGE);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  finallyDo(t, () => server.close());
  return { origin: `http://127.0.0.1:${server.address().port}`, outcome };
}

async function openChromium(t, url) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  finallyDo(t, () => browser.close());
  await (await browser.newPage()).goto(url);
}

/** Firefox has no driver in this project: the page reports by itself. */
async function openFirefox(t, url) {
  const profile = await mkdtemp(path.join(tmpdir(), "tidings-firefox-"));
  const flags = ["--headless", "--no-remote", "--profile", profile, url];
  const env = { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" };
  const child = spawn(FIREFOX, flags, { env, stdio: "ignore" });
  finallyDo(t, async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
}

for (const [name, open] of [["Chromium", openChromium], ["Firefox", openFirefox]]) {
  test(`${name} reads every message as it was published`, async (t) => {
    const { origin, outcome } = await servePage(t);
    const broker = await startBroker(t, { flags: [...CORPUS_FLAGS, "--origin", origin] });
    await publishCorpus(broker, "corpus");
    await open(t, `${origin}/?ws=${encodeURIComponent(broker.ws)}&count=${MESSAGES}`);
    const { extensions, count, error } = await outcome;
    assert.equal(error, undefined);
    assert.equal(count, MESSAGES);
    assert.match(extensions, /^permessage-deflate/);
  });
}
