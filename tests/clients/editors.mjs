/**
 * People who edit one document, simulated: they type, delete, lose their connection, go offline,
 * come back with what they wrote, or crash. What each of them was told is saved is remembered.
 */

import { createClient } from "graphql-ws";
import { cp, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import * as Y from "yjs";

const PACKAGE = new URL("../../web/yjs/", import.meta.url);
const INSTALLED = new URL("node_modules/@tidings/yjs/", import.meta.url);

/** Puts the package where npm would, so that it is found, with its peers, as its users find it. */
async function installed() {
  await rm(INSTALLED, { recursive: true, force: true });
  await mkdir(INSTALLED, { recursive: true });
  for (const name of ["package.json", "dist"]) {
    await cp(fileURLToPath(new URL(name, PACKAGE)), fileURLToPath(new URL(name, INSTALLED)),
      { recursive: true });
  }
  return import("@tidings/yjs");
}

export const { TidingsProvider, Refused } = await installed();

/** Random numbers from a seed (mulberry32): the same seed, the same numbers. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(next() * count);
  const pick = (list) => list[below(list.length)];
  return { next, below, pick };
}

/** A seed for this run, printed so that a failing one can be repeated: TIDINGS_SEED=… */
export function seedOf(t) {
  const seed = Number(process.env.TIDINGS_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`TIDINGS_SEED=${seed}`);
  return seed;
}

/** Sockets that a test can destroy, each as a network would: without a word. */
export function fragileSockets() {
  const open = new Set();
  class Fragile extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { perMessageDeflate: false });
      open.add(this);
      this.on("close", () => open.delete(this));
    }
  }
  return { webSocketImpl: Fragile, cut: () => open.forEach((socket) => socket.terminate()) };
}

export function newClient(url) {
  const { webSocketImpl, cut } = fragileSockets();
  const client = createClient({
    url, webSocketImpl, retryAttempts: Infinity, shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 5)),
  });
  return { client, cut };
}

/**
 * One editor. Every word that it types is also written down in a list that nobody deletes from, in
 * the same transaction: text may be deleted by anybody, the list shows what arrived.
 */
export class Editor {
  name;
  #url;
  #topic;
  #options;
  #random;
  #sockets;
  #typed = 0;
  #unsaved = [];
  saved = [];
  errors = [];
  isOnline = true;

  constructor(name, url, topic, random, options = {}) {
    Object.assign(this, { name });
    this.#url = url;
    this.#topic = topic;
    this.#random = random;
    this.#options = options;
    this.#open(new Y.Doc());
  }

  #open(doc) {
    this.doc = doc;
    this.text = doc.getText("text");
    this.list = doc.getArray("list");
    this.#provide();
  }

  #provide() {
    this.#sockets = fragileSockets();
    const { webSocketImpl } = this.#sockets;
    const server = { url: this.#url, webSocketImpl };
    this.provider = new TidingsProvider(server, this.#topic, this.doc, this.#options);
    this.provider.on("saved", () => this.saved.push(...this.#unsaved.splice(0)));
    this.provider.on("error", (reason) => this.errors.push(reason));
    this.awareness = this.provider.awareness;
    this.awareness.setLocalState({ name: this.name });
    this.isOnline = true;
  }

  type() {
    const word = `${this.name}.${++this.#typed}`;
    this.#unsaved.push(word);
    this.doc.transact(() => {
      this.text.insert(this.#random.below(this.text.length + 1), `${word} `);
      this.list.push([word]);
    });
  }

  delete() {
    const at = this.#random.below(this.text.length + 1);
    this.text.delete(at, Math.min(this.text.length - at, this.#random.below(12)));
  }

  point() {
    this.awareness.setLocalStateField("caret", this.#random.below(this.text.length + 1));
  }

  cut() {
    this.#sockets.cut();
  }

  goOffline() {
    this.provider.disconnect();
    this.isOnline = false;
  }

  comeBack() {
    this.provider.connect();
    this.isOnline = true;
  }

  /** The page is loaded anew; its document was kept in the browser. */
  restart() {
    this.provider.destroy();
    this.#provide();
  }

  /** Everything is gone that is not in the log. */
  crash() {
    this.#unsaved = [];
    this.cut();
    this.provider.destroy();
    this.doc.destroy();
    this.#open(new Y.Doc());
  }

  close() {
    this.provider.destroy();
    this.doc.destroy();
  }

  /** Resolves when the provider says so, at once if it has said so already. */
  async has(what) {
    while (!this.provider[what]) {
      await new Promise((resolve) => this.provider.once(what, resolve));
    }
  }
}
