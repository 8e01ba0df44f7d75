/**
 * The operations that a provider needs, and what can become of one: its data, a refusal by the
 * broker, or a connection that was lost before the answer came.
 */

import type { Client } from "graphql-ws";

export const FOLLOW = `subscription ($topic: String!, $after: Cursor, $snapshot: Boolean) {
  messages(topics: [$topic], after: $after, snapshot: $snapshot) {
    cursor previous snapshot headers payload
  }
}`;

export const JOIN = `subscription ($topic: String!, $state: JSON) {
  join(topic: $topic, state: $state) { kind member { connection state } }
}`;

export const TOPIC = `query ($topic: String!) {
  topic(name: $topic) { last messages bytes }
  broker { limits }
}`;

export const PUBLISH = `mutation (
  $topic: String!, $payload: JSON!, $headers: JSON, $id: String, $ifLast: Cursor
) {
  publish(topic: $topic, payload: $payload, headers: $headers, id: $id, ifLast: $ifLast) { cursor }
}`;

export const COMPACT = `mutation ($topic: String!, $upTo: Cursor!, $snapshot: JSON!) {
  compact(topic: $topic, upTo: $upTo, snapshot: $snapshot) { cursor }
}`;

export const UPDATE_PRESENCE = `mutation ($topic: String!, $state: JSON!) {
  updatePresence(topic: $topic, state: $state)
}`;

export interface Message {
  cursor: string;
  previous: string | null;
  snapshot: boolean;
  headers: Record<string, string> | null;
  payload: unknown;
}

export interface TopicReport {
  last: string | null;
  messages: number;
  bytes: number;
}

/** What the broker says of a topic, and of itself. */
export interface TopicAnswer {
  topic: TopicReport | null;
  broker: { limits: { payload_bytes?: number; message_bytes?: number } };
}

/** The broker said no, or would. */
export class Refused extends Error {
  override readonly name = "Refused";
  /** As in the broker's table of errors; empty for a document that its schema does not know. */
  readonly code: string;
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor(errors: readonly { message: string; extensions?: object | undefined }[]) {
    super(errors.map(({ message }) => message).join("; "));
    this.extensions = { ...errors[0]?.extensions };
    this.code = String(this.extensions["code"] ?? "");
  }

  /** Whether the same may be granted later without anybody changing anything. */
  get passes(): boolean {
    return PASSING.has(this.code);
  }

  /** Whether the position is of no use any more. */
  get isExpired(): boolean {
    return this.code === "CURSOR_EXPIRED" || this.code === "BAD_CURSOR";
  }
}

const PASSING = new Set([
  "RATE_LIMITED", "OVERLOADED", "UNAVAILABLE", "LIMIT_EXCEEDED", "INTERNAL",
]);

/** The connection ended, or never began. */
export class Lost extends Error {
  override readonly name = "Lost";
  /** The close code, where there was one. */
  readonly code: number | undefined;

  constructor(cause: unknown) {
    const { code, reason } = (cause ?? {}) as { code?: unknown; reason?: unknown };
    const number = typeof code === "number" ? code : undefined;
    super(`the connection was lost: ${reason || (number ?? "no answer")}`, { cause });
    this.code = number;
  }

  /** Whether the same client may connect again with what it has. */
  get passes(): boolean {
    return this.code === undefined || !FINAL_CODES.has(this.code);
  }
}

/** The close code for a token that is not good, or not any more. */
export const FORBIDDEN = 4403;

/** Close codes after which trying again would end the same way. */
const FINAL_CODES = new Set([
  1002, 1003, 1007, 1008, 1009, 4400, 4401, FORBIDDEN, 4406, 4409, 4429,
]);

export interface Results<Data> {
  next(data: Data, extensions: Record<string, unknown>): void;
  /** The operation is over; nothing follows. */
  error(reason: Refused | Lost): void;
}

/** Starts an operation, and gives the function that stops it; then nothing follows either. */
export function start<Data>(
  client: Client, query: string, variables: Record<string, unknown>, results: Results<Data>,
): () => void {
  let isOver = false;
  const over = (reason: Refused | Lost) => {
    if (isOver) return;
    release();
    results.error(reason);
  };
  // Later, when the messages that came in the same packet have been seen: graphql-ws counts an
  // operation twice that is stopped in front of its own `complete`, and hangs up on the others.
  // It has to be stopped even when it failed, for until then graphql-ws holds the connection.
  const release = () => {
    isOver = true;
    queueMicrotask(() => stop());
  };
  const stop = client.subscribe<Data>({ query, variables }, {
    next({ data, errors, extensions }) {
      if (isOver) return;
      if (errors?.length || data === null || data === undefined) {
        over(new Refused(errors ?? [{ message: "the broker answered without data" }]));
      } else {
        results.next(data, (extensions ?? {}) as Record<string, unknown>);
      }
    },
    error: (reason) => over(Array.isArray(reason) ? new Refused(reason) : new Lost(reason)),
    complete: () => over(new Lost(null)),
  });
  return release;
}

/** Queries and mutations of one connection; `stop` lets go of those that wait for an answer. */
export class Requests {
  readonly #client: Client;
  readonly #stops = new Set<() => void>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** The one result. Rejects with `Refused` or `Lost`; never settles once it was stopped. */
  send<Data>(query: string, variables: Record<string, unknown>): Promise<Data> {
    return new Promise((resolve, reject) => {
      const stop = start<Data>(this.#client, query, variables, {
        next: (data) => {
          this.#stops.delete(stop);
          resolve(data);
        },
        error: (reason) => {
          this.#stops.delete(stop);
          reject(reason);
        },
      });
      this.#stops.add(stop);
    });
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops.clear();
  }
}
