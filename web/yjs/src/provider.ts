/** The provider: keeps a document and a topic equal, through reconnects, restarts and pauses. */

import type { Client, ClientOptions } from "graphql-ws";
import { createClient } from "graphql-ws";
import { ObservableV2 } from "lib0/observable";
import { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
import type { Gap } from "./follower.js";
import { FORBIDDEN, Lost, Refused } from "./graphql.js";
import { Replica } from "./replica.js";
import { Session } from "./session.js";

export type Status = "connecting" | "connected" | "disconnected";

/** A URL, options of `createClient` of graphql-ws, or a client of it that others use as well. */
export type Server = string | ClientOptions | Client;

export interface Events {
  status: (event: { status: Status }) => void;
  /** Whether the document has everything that the topic had when it connected. */
  synced: (isSynced: boolean) => void;
  /** Everything written here is in the log. */
  saved: () => void;
  /** What the user has to know of; the provider goes on where that makes sense. */
  error: (reason: Error) => void;
}

export interface Options {
  /** Whose state is shown to others, and that shows theirs; one is made unless given. */
  awareness?: Awareness;
  /** Whether to join the topic; without it awareness stays here. True unless given. */
  presence?: boolean;
  /** Whether to connect at once; true unless given. */
  connect?: boolean;
  /** A connection that says nothing for so long is given up: 40000 ms. For clients made here. */
  silenceMs?: number;
  /** What every payload has beside `update`, as the placeholders of a typed topic. */
  fields?: Record<string, unknown>;
  /** Updates of so many milliseconds become one message: 10. */
  mergeMs?: number;
  /** A message has at most so many bytes of merged updates: 131072. */
  mergeBytes?: number;
  /** At most one change of the own awareness in this time: 100 ms. */
  awarenessMs?: number;
  /** One client writes a snapshot after so many messages: 200. */
  snapshotMessages?: number;
  /** Or after so many bytes: 262144. */
  snapshotBytes?: number;
}

const RETRY_FIRST_MS = 100;
const RETRY_LONGEST_MS = 5_000;

export class TidingsProvider extends ObservableV2<Events> {
  readonly doc: Y.Doc;
  readonly topic: string;
  readonly awareness: Awareness;
  readonly #client: Client;
  readonly #ownsClient: boolean;
  readonly #ownsAwareness: boolean;
  readonly #replica: Replica;
  readonly #joins: boolean;
  readonly #awarenessMs: number;
  readonly #unlisten: () => void;
  #session: Session | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #status: Status = "disconnected";
  #isSynced = false;
  #isDestroyed = false;

  constructor(server: Server, topic: string, doc: Y.Doc, options: Options = {}) {
    super();
    this.doc = doc;
    this.topic = topic;
    this.#ownsAwareness = options.awareness === undefined;
    this.awareness = options.awareness ?? new Awareness(doc);
    this.#joins = options.presence ?? true;
    this.#awarenessMs = options.awarenessMs ?? 100;
    this.#ownsClient = !isClient(server);
    this.#client = isClient(server) ? server : ownClient(server, options.silenceMs ?? 40_000);
    this.#replica = new Replica(doc, this, {
      fields: options.fields ?? {},
      outbox: { delayMs: options.mergeMs ?? 10, bytesMax: options.mergeBytes ?? 131_072 },
      snapshots: {
        messages: options.snapshotMessages ?? 200, bytes: options.snapshotBytes ?? 262_144,
      },
    }, {
      saved: () => this.emit("saved", []),
      failed: (reason) => this.emit("error", [reason]),
    });
    this.#unlisten = this.#client.on("closed", (event) => this.#session?.lost(event));
    doc.on("destroy", this.#docDestroyed);
    if (options.connect ?? true) this.connect();
  }

  get status(): Status {
    return this.#status;
  }

  /** Whether the document has everything that the topic had when it connected. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** Whether everything written here is known to be in the log. */
  get saved(): boolean {
    return this.#replica.isSaved;
  }

  /** Connects now, whether it was told to stop, had given up or waits for its next attempt. */
  connect(): void {
    if (this.#isDestroyed || this.#session) return;
    clearTimeout(this.#retry);
    this.#become("connecting");
    const session = new Session(this.#client, this.topic, this.#replica, {
      awareness: this.#joins ? this.awareness : null,
      presence: { intervalMs: this.#awarenessMs, origin: this },
      ports: {
        answered: () => this.#become("connected"),
        caughtUp: () => this.#sync(true),
        settled: () => {
          this.#failures = 0;
        },
        failed: (reason) => this.emit("error", [reason]),
        ended: (reason) => {
          if (this.#session === session) this.#ended(reason);
        },
      },
    });
    this.#session = session;
    session.start();
  }

  /** Stops until `connect`. What is written meanwhile is kept. */
  disconnect(): void {
    clearTimeout(this.#retry);
    this.#close();
  }

  /** Leaves for good. The document stays as it is. */
  override destroy(): void {
    if (this.#isDestroyed) return;
    this.disconnect();
    this.#isDestroyed = true;
    this.#unlisten();
    this.doc.off("destroy", this.#docDestroyed);
    this.#replica.destroy();
    if (this.#ownsAwareness) this.awareness.destroy();
    // It rejects when it was about to connect and could not, which is just as well.
    if (this.#ownsClient) Promise.resolve(this.#client.dispose()).catch(() => {});
    super.destroy();
  }

  readonly #docDestroyed = (): void => this.destroy();

  #close(): void {
    const session = this.#session;
    this.#session = null;
    session?.stop();
    this.#sync(false);
    this.#become("disconnected");
  }

  #ended(reason: Refused | Lost | Gap): void {
    const mayReturn = isPassing(reason, this.#status);
    this.#close();
    if (!mayReturn) return this.emit("error", [reason]);
    const ceiling = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.connect(), ceiling * (0.5 + Math.random() / 2));
  }

  #become(status: Status): void {
    if (this.#status === status) return;
    this.#status = status;
    this.emit("status", [{ status }]);
  }

  #sync(isSynced: boolean): void {
    if (this.#isSynced === isSynced) return;
    this.#isSynced = isSynced;
    this.emit("synced", [isSynced]);
  }
}

/** Whether it makes sense to connect again. */
function isPassing(reason: Refused | Lost | Gap, status: Status): boolean {
  if (reason instanceof Refused) return reason.passes || reason.isExpired;
  // A token that was good until now has expired: `connectionParams` may have the next one.
  if (reason instanceof Lost) {
    return reason.passes || (reason.code === FORBIDDEN && status === "connected");
  }
  return true;
}

function isClient(server: Server): server is Client {
  return typeof server === "object" && "subscribe" in server;
}

/**
 * A client that leaves coming back to the provider, and hangs up when nobody is there any more: a
 * broken network says nothing, so it asks from time to time.
 */
function ownClient(server: string | ClientOptions, silenceMs: number): Client {
  const options = typeof server === "string" ? { url: server } : server;
  const keepAlive = silenceMs / 3;
  const client = createClient({ ...options, lazy: true, retryAttempts: 0, keepAlive });
  let watch: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => client.terminate(), silenceMs);
  };
  client.on("connecting", heard);
  client.on("message", heard);
  client.on("closed", () => clearTimeout(watch));
  return client;
}
