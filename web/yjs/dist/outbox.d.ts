/**
 * Local updates on their way into the log. Those of a few milliseconds become one; one publish is
 * under way at a time; each has an id of its own that it keeps however often it is sent. It knows
 * nothing of connections: it is opened and closed.
 */
import { Refused } from "./graphql.js";
export interface OutboxPorts {
    /** Settles when the update is in the log, or rejects with `Refused` or `Lost`. */
    publish(update: Uint8Array, id: string): Promise<void>;
    /** It has become empty, or is not any more. */
    changed(): void;
    /** The broker will not have it; nothing more is sent until the outbox is opened again. */
    refused(reason: Refused): void;
}
export interface OutboxOptions {
    /** How long an update waits for others to join it. */
    delayMs: number;
    /** How large a merged update becomes at most; one that is larger by itself goes alone. */
    bytesMax: number;
}
export declare class Outbox {
    #private;
    constructor(options: OutboxOptions, ports: OutboxPorts);
    get isEmpty(): boolean;
    add(update: Uint8Array): void;
    /** Forgets everything: it is in the log, or about to come there by another way. */
    clear(): void;
    open(): void;
    /** Keeps what waits, and what was under way: what became of that shows in the log. */
    close(): void;
    /** An id for a publish beside those of the outbox. */
    nextId(): string;
    /** Whether the message with this id is one of ours. It is in the log, so it is done. */
    confirm(id: string | undefined): boolean;
}
