/** permessage-deflate with npm's `ws`: every window, with and without context takeover. */

import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { startBroker } from "./broker.mjs";
import { CORPUS_FLAGS, MESSAGES, publishCorpus } from "./corpus.mjs";
import { readCorpus } from "./deflate-client.mjs";

const OURS = "permessage-deflate; client_no_context_takeover";
const windows = [8, 9, 10, 11, 12, 13, 14, 15];

/** What a client asks for, and what is answered. */
const OFFERS = [
  [{}, OURS],
  [{ serverNoContextTakeover: true }, /server_no_context_takeover/],
  [{ clientNoContextTakeover: true }, OURS],
  [{ serverNoContextTakeover: true, clientNoContextTakeover: true }, /server_no_context_takeover/],
  [{ clientMaxWindowBits: 10, threshold: 0 }, /^permessage-deflate/],
  ...windows.map((bits) => [{ serverMaxWindowBits: bits }, `server_max_window_bits=${bits}`]),
  ...windows.map((bits) => [{ serverMaxWindowBits: bits, serverNoContextTakeover: true },
    `server_max_window_bits=${bits}`]),
  [false, /^$/],
];

test("ws reads the same from every form", async (t) => {
  const broker = await startBroker(t, { flags: CORPUS_FLAGS });
  await publishCorpus(broker, "corpus");
  for (const [perMessageDeflate, answer] of OFFERS) {
    await t.test(JSON.stringify(perMessageDeflate), async () => {
      const socket = new WebSocket(broker.ws, "graphql-transport-ws", { perMessageDeflate });
      const echo = "what the client compresses ".repeat(1000);
      const { extensions, count } = await readCorpus(socket,
        { topic: "corpus", count: MESSAGES, echo });
      assert.equal(count, MESSAGES);
      if (answer instanceof RegExp) assert.match(agreed(socket), answer);
      else assert.ok(agreed(socket).includes(answer), agreed(socket));
      assert.equal(extensions, socket.extensions);
    });
  }
});

test("without the switch nothing is compressed", async (t) => {
  const broker = await startBroker(t, { flags: ["--set", "server.compression=false"] });
  await publishCorpus(broker, "corpus", 0, 50);
  const socket = new WebSocket(broker.ws, "graphql-transport-ws");
  const { extensions } = await readCorpus(socket, { topic: "corpus", count: 50, echo: "x" });
  assert.equal(extensions, "");
});

/** The answer of the handshake in full: `ws` keeps its parameters only in its own extension. */
function agreed(socket) {
  const extension = socket._extensions["permessage-deflate"];
  if (!extension) return "";
  const parameters = Object.entries(extension.params).map(([name, value]) =>
    (value === true ? name : `${name}=${value}`));
  return ["permessage-deflate", ...parameters].join("; ");
}
