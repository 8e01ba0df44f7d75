/**
 * The operations that a provider needs, and what can become of one: its data, a refusal by the
 * broker, or a connection that was lost before the answer came.
 */
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
/** The broker said no, or would. */
export class Refused extends Error {
    name = "Refused";
    /** As in the broker's table of errors; empty for a document that its schema does not know. */
    code;
    extensions;
    constructor(errors) {
        super(errors.map(({ message }) => message).join("; "));
        this.extensions = { ...errors[0]?.extensions };
        this.code = String(this.extensions["code"] ?? "");
    }
    /** Whether the same may be granted later without anybody changing anything. */
    get passes() {
        return PASSING.has(this.code);
    }
    /** Whether the position is of no use any more. */
    get isExpired() {
        return this.code === "CURSOR_EXPIRED" || this.code === "BAD_CURSOR";
    }
}
const PASSING = new Set([
    "RATE_LIMITED", "OVERLOADED", "UNAVAILABLE", "LIMIT_EXCEEDED", "INTERNAL",
]);
/** The connection ended, or never began. */
export class Lost extends Error {
    name = "Lost";
    /** The close code, where there was one. */
    code;
    constructor(cause) {
        const { code, reason } = (cause ?? {});
        const number = typeof code === "number" ? code : undefined;
        super(`the connection was lost: ${reason || (number ?? "no answer")}`, { cause });
        this.code = number;
    }
    /** Whether the same client may connect again with what it has. */
    get passes() {
        return this.code === undefined || !FINAL_CODES.has(this.code);
    }
}
/** The close code for a token that is not good, or not any more. */
export const FORBIDDEN = 4403;
/** Close codes after which trying again would end the same way. */
const FINAL_CODES = new Set([
    1002, 1003, 1007, 1008, 1009, 4400, 4401, FORBIDDEN, 4406, 4409, 4429,
]);
/** Starts an operation, and gives the function that stops it; then nothing follows either. */
export function start(client, query, variables, results) {
    let isOver = false;
    const over = (reason) => {
        if (isOver)
            return;
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
    const stop = client.subscribe({ query, variables }, {
        next({ data, errors, extensions }) {
            if (isOver)
                return;
            if (errors?.length || data === null || data === undefined) {
                over(new Refused(errors ?? [{ message: "the broker answered without data" }]));
            }
            else {
                results.next(data, (extensions ?? {}));
            }
        },
        error: (reason) => over(Array.isArray(reason) ? new Refused(reason) : new Lost(reason)),
        complete: () => over(new Lost(null)),
    });
    return release;
}
/** Queries and mutations of one connection; `stop` lets go of those that wait for an answer. */
export class Requests {
    #client;
    #stops = new Set();
    constructor(client) {
        this.#client = client;
    }
    /** The one result. Rejects with `Refused` or `Lost`; never settles once it was stopped. */
    send(query, variables) {
        return new Promise((resolve, reject) => {
            const stop = start(this.#client, query, variables, {
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
    stop() {
        for (const stop of this.#stops)
            stop();
        this.#stops.clear();
    }
}
