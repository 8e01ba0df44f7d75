/** One life of a connection: follows the topic, joins it, and sends for the replica. */

import type { Client } from "graphql-ws";
import type { Awareness } from "y-protocols/awareness";
import { Follower, Gap } from "./follower.js";
import type { Message, TopicAnswer, TopicReport } from "./graphql.js";
import { COMPACT, Lost, PUBLISH, Refused, Requests, TOPIC } from "./graphql.js";
import type { PresenceOptions } from "./presence.js";
import { Presence } from "./presence.js";
import type { Replica } from "./replica.js";

/** What a replica can do while there is a connection. */
export interface SessionLink {
  publish(payload: object, id: string, condition?: { ifLast?: string }): Promise<void>;
  report(): Promise<TopicReport | null>;
  compact(upTo: string, snapshot: object): Promise<void>;
  /** Waits until the message with this cursor has been received. */
  received(cursor: string): Promise<void>;
}

export interface SessionPorts {
  answered(): void;
  caughtUp(): void;
  /** What is written here is published, or refused for good. */
  settled(): void;
  /** Something does not work, and the session goes on without it. */
  failed(reason: Error): void;
  ended(reason: Refused | Lost | Gap): void;
}

export interface SessionOptions {
  awareness: Awareness | null;
  presence: Omit<PresenceOptions, "ended">;
  ports: SessionPorts;
}

/** What stands around a payload in a message of the protocol, and its headers. */
const AROUND_BYTES = 1024;

export class Session implements SessionLink {
  readonly #client: Client;
  readonly #topic: string;
  readonly #replica: Replica;
  readonly #options: SessionOptions;
  readonly #requests: Requests;
  /** Cursors received until the replica begins to publish, and who waits for one. */
  readonly #received = new Set<string>();
  readonly #waiters = new Map<string, () => void>();
  #follower: Follower | null = null;
  #presence: Presence | null = null;
  #isPublishing = false;
  #payloadBytesMax = Infinity;
  #isOver = false;

  constructor(client: Client, topic: string, replica: Replica, options: SessionOptions) {
    this.#client = client;
    this.#topic = topic;
    this.#replica = replica;
    this.#options = options;
    this.#requests = new Requests(client);
  }

  start(): void {
    const { awareness, presence, ports } = this.#options;
    this.#replica.attach(this);
    const position = this.#replica.position;
    this.#follower = new Follower(this.#client, this.#requests, this.#topic, position, {
      answered: (answer) => this.#answered(answer),
      message: (message) => this.#receive(message),
      missing: (cursor) => ports.failed(new Error(`the log lost what was before ${cursor}`)),
      caughtUp: () => this.#caughtUp(),
      ended: (reason) => this.#end(reason),
    });
    if (awareness === null) return;
    this.#presence = new Presence(this.#client, this.#requests, this.#topic, awareness, {
      ...presence, ended: (reason) => this.#presenceEnded(reason),
    });
  }

  stop(): void {
    this.#isOver = true;
    this.#replica.detach();
    this.#follower?.stop();
    this.#presence?.stop();
    this.#requests.stop();
  }

  /** The connection was closed. */
  lost(event: unknown): void {
    this.#end(new Lost(event));
  }

  async publish(payload: object, id: string, condition?: { ifLast?: string }): Promise<void> {
    this.#check(payload);
    const variables = { topic: this.#topic, payload, headers: { id }, id, ...condition };
    await this.#requests.send(PUBLISH, variables);
  }

  async report(): Promise<TopicReport | null> {
    return (await this.#requests.send<TopicAnswer>(TOPIC, { topic: this.#topic })).topic;
  }

  async compact(upTo: string, snapshot: object): Promise<void> {
    this.#check(snapshot);
    await this.#requests.send(COMPACT, { topic: this.#topic, upTo, snapshot });
  }

  received(cursor: string): Promise<void> {
    if (cursor === "" || this.#received.has(cursor)) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.set(cursor, resolve));
  }

  #answered({ broker: { limits } }: TopicAnswer): void {
    const { payload_bytes: payload = Infinity, message_bytes: message = Infinity } = limits;
    this.#payloadBytesMax = Math.min(payload, message) - AROUND_BYTES;
    this.#options.ports.answered();
  }

  /** A payload that is too long is refused; a message that is too long ends the connection. */
  #check(payload: object): void {
    const { length } = JSON.stringify(payload);
    if (length <= this.#payloadBytesMax) return;
    const message = `the payload has ${length} bytes, and the broker allows `
      + `${this.#payloadBytesMax} (limits.payload_bytes, limits.message_bytes)`;
    throw new Refused([{ message, extensions: { code: "PAYLOAD_TOO_LARGE" } }]);
  }

  #receive(message: Message): void {
    this.#replica.receive(message);
    if (this.#isPublishing) return;
    this.#received.add(message.cursor);
    this.#waiters.get(message.cursor)?.();
    this.#waiters.delete(message.cursor);
  }

  #caughtUp(): void {
    this.#options.ports.caughtUp();
    if (this.#isOver) return;
    this.#replica.publish().then(
      () => {
        this.#isPublishing = true;
        this.#received.clear();
        this.#options.ports.settled();
      },
      (reason: unknown) => this.#publishFailed(reason),
    );
  }

  #publishFailed(reason: unknown): void {
    if (this.#isOver) return;
    if (reason instanceof Lost || (reason instanceof Refused && reason.passes)) {
      return this.#end(reason);
    }
    this.#options.ports.settled();
    this.#options.ports.failed(reason as Error);
  }

  #presenceEnded(reason: Refused | Lost): void {
    this.#presence = null;
    if (reason.passes) this.#end(reason);
    else if (!this.#isOver) this.#options.ports.failed(reason);
  }

  #end(reason: Refused | Lost | Gap): void {
    if (this.#isOver) return;
    if (reason instanceof Gap || (reason instanceof Refused && reason.isExpired)) {
      this.#replica.restart();
    }
    this.#options.ports.ended(reason);
  }
}
