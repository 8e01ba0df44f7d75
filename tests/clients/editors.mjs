/**
 * People who edit one document, simulated: they type, delete, lose their connection, go offline,
 * come back with what they wrote, or crash. What each of them was told is saved is remembered.
 */

import { cp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as Y from "yjs";
import { fragileSockets } from "./fragile.mjs";

const PACKAGE = fileURLToPath(new URL("../../web/yjs/dist", import.meta.url));

/** A copy from where the package finds the same Yjs as the tests; each process has its own. */
async function installed() {
  const copy = new URL(`node_modules/.tidings-yjs-${process.pid}/`, import.meta.url);
  await cp(PACKAGE, fileURLToPath(copy), { recursive: true });
  try {
    return await import(new URL("index.js", copy));
  } finally {
    await rm(copy, { recursive: true });
  }
}

export const { TidingsProvider, Refused } = await installed();

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
