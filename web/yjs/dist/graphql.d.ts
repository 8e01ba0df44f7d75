/**
 * The operations that a provider needs, and what can become of one: its data, a refusal by the
 * broker, or a connection that was lost before the answer came.
 */
import type { Client } from "graphql-ws";
export declare const FOLLOW = "subscription ($topic: String!, $after: Cursor, $snapshot: Boolean) {\n  messages(topics: [$topic], after: $after, snapshot: $snapshot) {\n    cursor previous snapshot headers payload\n  }\n}";
export declare const JOIN = "subscription ($topic: String!, $state: JSON) {\n  join(topic: $topic, state: $state) { kind member { connection state } }\n}";
export declare const TOPIC = "query ($topic: String!) {\n  topic(name: $topic) { last messages bytes }\n  broker { limits }\n}";
export declare const PUBLISH = "mutation (\n  $topic: String!, $payload: JSON!, $headers: JSON, $id: String, $ifLast: Cursor\n) {\n  publish(topic: $topic, payload: $payload, headers: $headers, id: $id, ifLast: $ifLast) { cursor }\n}";
export declare const COMPACT = "mutation ($topic: String!, $upTo: Cursor!, $snapshot: JSON!) {\n  compact(topic: $topic, upTo: $upTo, snapshot: $snapshot) { cursor }\n}";
export declare const UPDATE_PRESENCE = "mutation ($topic: String!, $state: JSON!) {\n  updatePresence(topic: $topic, state: $state)\n}";
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
    broker: {
        limits: {
            payload_bytes?: number;
            message_bytes?: number;
        };
    };
}
/** The broker said no, or would. */
export declare class Refused extends Error {
    readonly name = "Refused";
    /** As in the broker's table of errors; empty for a document that its schema does not know. */
    readonly code: string;
    readonly extensions: Readonly<Record<string, unknown>>;
    constructor(errors: readonly {
        message: string;
        extensions?: object | undefined;
    }[]);
    /** Whether the same may be granted later without anybody changing anything. */
    get passes(): boolean;
    /** Whether the position is of no use any more. */
    get isExpired(): boolean;
}
/** The connection ended, or never began. */
export declare class Lost extends Error {
    readonly name = "Lost";
    /** The close code, where there was one. */
    readonly code: number | undefined;
    constructor(cause: unknown);
    /** Whether the same client may connect again with what it has. */
    get passes(): boolean;
}
/** The close code for a token that is not good, or not any more. */
export declare const FORBIDDEN = 4403;
export interface Results<Data> {
    next(data: Data, extensions: Record<string, unknown>): void;
    /** The operation is over; nothing follows. */
    error(reason: Refused | Lost): void;
}
/** Starts an operation, and gives the function that stops it; then nothing follows either. */
export declare function start<Data>(client: Client, query: string, variables: Record<string, unknown>, results: Results<Data>): () => void;
/** Queries and mutations of one connection; `stop` lets go of those that wait for an answer. */
export declare class Requests {
    #private;
    constructor(client: Client);
    /** The one result. Rejects with `Refused` or `Lost`; never settles once it was stopped. */
    send<Data>(query: string, variables: Record<string, unknown>): Promise<Data>;
    stop(): void;
}
