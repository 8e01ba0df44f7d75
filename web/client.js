/**
 * A client of the `graphql-transport-ws` protocol that comes back by itself.
 *
 * In: documents and sinks. Out: results, in order and without a gap. It asks for
 * `{"resume": true}`, remembers how far each operation got, and after a reconnect it sends the same
 * document with that position in `extensions.after`. It knows nothing of the page.
 *
 * @typedef {{message: string, path?: (string | number)[], locations?: {line: number,
 *   column: number}[], extensions?: Record<string, any>}} GraphQLError
 */

/**
 * @template [Data=any]
 * @typedef {{data?: Data, errors?: GraphQLError[], extensions?: Record<string, any>}} Result
 */

/**
 * @template [Data=any]
 * @template [Variables=object]
 * @typedef {{query: import("./operations.js").TypedDocument<Data, Variables>,
 *   variables?: Variables, operationName?: string}} Operation
 */

/**
 * @template [Data=any]
 * @typedef {{next?: (result: Result<Data>) => void, error?: (errors: GraphQLError[]) => void,
 *   complete?: () => void}} Sink
 */

/**
 * @typedef {{kind: "connecting"} | {kind: "open", ack: Record<string, any>}
 *   | {kind: "waiting", retryAt: number, code: number, reason: string}
 *   | {kind: "closed", code: number, reason: string}} State
 */

/** Close codes after which trying again would end the same way. */
export const FINAL_CODES = new Set([1008, 4400, 4401, 4403, 4406, 4409, 4429]);

const PROTOCOL = "graphql-transport-ws";
const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 10_000;
/** A connection that lived this long was a good one: the next retry starts small again. */
const STEADY_AFTER_MS = 5_000;
const ACK_WITHIN_MS = 10_000;
/** The server pings every 25 s; two missed pings and a margin mean that nobody is there. */
const SILENCE_LONGEST_MS = 60_000;

/** How long to wait before the attempt after `failures` failed ones: exponential, with jitter. */
export function retryDelayMs(failures, random = Math.random) {
  const ceiling = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** failures);
  return ceiling * (0.5 + random() / 2);
}

export class Client {
  /** @type {Map<string, any>} operations in flight or waiting for a connection, by id */
  #operations = new Map();
  #url;
  #options;
  #socket = null;
  /** @type {State} */
  #state = { kind: "connecting" };
  #failures = 0;
  #lastId = 0;
  #openedAt = 0;
  #heardAt = 0;
  #position = null;
  #retryTimer = 0;
  #watchTimer = 0;

  /**
   * @param {string | URL} url
   * @param {{init?: () => object, onState?: (state: State) => void, parse?: (text: string) => any,
   *   WebSocket?: typeof globalThis.WebSocket}} options `init` gives what `connection_init`
   *   carries, asked for anew with every connection.
   */
  constructor(url, { init, onState, parse, WebSocket } = {}) {
    this.#url = url;
    this.#options = {
      init: init ?? (() => ({})),
      onState: onState ?? (() => {}),
      parse: parse ?? JSON.parse,
      WebSocket: WebSocket ?? globalThis.WebSocket,
    };
    this.connect();
  }

  get state() {
    return this.#state;
  }

  /** Connects now, whether it was waiting for its next attempt or had given up. */
  connect() {
    if (this.#socket) return;
    clearTimeout(this.#retryTimer);
    const socket = new this.#options.WebSocket(this.#url, PROTOCOL);
    this.#socket = socket;
    this.#openedAt = 0;
    this.#heardAt = Date.now();
    this.#become({ kind: "connecting" });
    socket.onopen = () => {
      const payload = { ...this.#options.init(), resume: true };
      socket.send(JSON.stringify({ type: "connection_init", payload }));
    };
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#receive(this.#options.parse(event.data));
    };
    socket.onclose = (event) => this.#lost(socket, event.code, event.reason);
    this.#watch(socket);
  }

  /** Ends the connection and everything on it. `connect` starts anew. */
  close() {
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    if (!socket) return;
    socket.close(1000, "the page is done");
    this.#finish(socket, 1000, "the page is done");
  }

  /**
   * Starts an operation and returns the function that stops it. One that is `resumable` survives
   * reconnects; another one whose answer is lost with the connection ends in an error.
   *
   * @template Data, Variables
   * @param {Operation<Data, Variables>} operation
   * @param {Sink<Data>} sink
   * @param {{resumable?: boolean, repeatable?: boolean}} options `repeatable`: may be sent again
   *   from the start, because doing it twice is the same as doing it once.
   * @returns {() => void}
   */
  start(operation, sink, { resumable = true, repeatable = resumable } = {}) {
    const id = String(++this.#lastId);
    const entry = { id, operation, sink, resumable, repeatable, sent: false, position: null };
    this.#operations.set(id, entry);
    if (this.#state.kind === "open") this.#send(entry);
    return () => this.#stop(entry);
  }

  /**
   * A query or mutation, as a promise of its one result. Rejects with an array of errors.
   *
   * @template Data, Variables
   * @param {Operation<Data, Variables>} operation
   * @param {{repeatable?: boolean}} options
   * @returns {Promise<Data>} the result's data
   */
  request(operation, { repeatable = true } = {}) {
    return new Promise((resolve, reject) => {
      const next = ({ data, errors }) => (errors?.length ? reject(errors) : resolve(data));
      const complete = () => reject([{ message: "The server completed it without a result." }]);
      this.start(operation, { next, error: reject, complete }, { resumable: false, repeatable });
    });
  }

  #become(state) {
    this.#state = state;
    this.#options.onState(state);
  }

  #receive(message) {
    this.#heardAt = Date.now();
    if (message.type === "connection_ack") return this.#acknowledged(message.payload ?? {});
    if (message.type === "ping") return this.#pinged(message.payload);
    const entry = this.#operations.get(message.id);
    if (!entry) return;
    if (message.type === "next") {
      entry.position = message.payload.extensions?.cursor ?? entry.position;
      entry.sink.next?.(message.payload);
    } else if (message.type === "error") {
      this.#operations.delete(entry.id);
      entry.sink.error?.(message.payload);
    } else if (message.type === "complete") {
      this.#operations.delete(entry.id);
      entry.sink.complete?.();
    }
  }

  #acknowledged(ack) {
    this.#openedAt = Date.now();
    this.#position = ack.cursor ?? null;
    this.#become({ kind: "open", ack });
    for (const entry of [...this.#operations.values()]) this.#send(entry);
  }

  /** A ping's cursor says that everything due up to there was sent: quiet operations move on. */
  #pinged(payload) {
    this.#socket.send(JSON.stringify({ type: "pong", payload }));
    if (!payload?.cursor) return;
    this.#position = payload.cursor;
    for (const entry of this.#operations.values()) {
      if (entry.sent) entry.position = payload.cursor;
    }
  }

  #send(entry) {
    const payload = { ...entry.operation };
    if (entry.resumable && entry.position) payload.extensions = { after: entry.position };
    entry.position ??= this.#position;
    entry.sent = true;
    this.#socket.send(JSON.stringify({ id: entry.id, type: "subscribe", payload }));
  }

  #stop(entry) {
    if (!this.#operations.delete(entry.id)) return;
    if (entry.sent && this.#state.kind === "open") {
      this.#socket.send(JSON.stringify({ id: entry.id, type: "complete" }));
    }
  }

  #lost(socket, code, reason) {
    if (socket !== this.#socket) return;
    if (FINAL_CODES.has(code)) return this.#finish(socket, code, reason);
    this.#release();
    const steady = this.#openedAt && Date.now() - this.#openedAt >= STEADY_AFTER_MS;
    const delay = retryDelayMs(steady ? 0 : this.#failures);
    this.#failures = steady ? 1 : this.#failures + 1;
    for (const entry of [...this.#operations.values()]) {
      if (entry.sent && !entry.repeatable) this.#fail(entry, "The connection broke before the "
        + "answer came: it may or may not have been done.");
      entry.sent = false;
    }
    this.#retryTimer = setTimeout(() => this.connect(), delay);
    this.#become({ kind: "waiting", retryAt: Date.now() + delay, code, reason });
  }

  #finish(socket, code, reason) {
    this.#release();
    for (const entry of [...this.#operations.values()]) {
      this.#fail(entry, reason || `The connection was closed with code ${code}.`);
    }
    this.#become({ kind: "closed", code, reason });
  }

  #fail(entry, message) {
    this.#operations.delete(entry.id);
    entry.sink.error?.([{ message, extensions: { code: "CONNECTION" } }]);
  }

  #release() {
    clearInterval(this.#watchTimer);
    this.#socket = null;
  }

  /** A broken network says nothing: a socket that is silent for too long is given up. */
  #watch(socket) {
    this.#watchTimer = setInterval(() => {
      const limit = this.#openedAt ? SILENCE_LONGEST_MS : ACK_WITHIN_MS;
      if (Date.now() - this.#heardAt < limit) return;
      socket.close(4499, "no sign of life");
      this.#lost(socket, 4499, "no sign of life");
    }, 1_000);
  }
}
