/**
 * The document beside its topic: what has been received, what is still to be published. It outlives
 * connections and knows nothing of them.
 *
 * The document always holds every message up to `cursor`. What was written here is in the log, in
 * the outbox, or, until the log's state has been compared with the document, somewhere in the
 * document.
 */
import * as Y from "yjs";
import type { Position } from "./follower.js";
import type { Message } from "./graphql.js";
import type { OutboxOptions } from "./outbox.js";
import type { SnapshotOptions } from "./snapshots.js";
import type { SessionLink } from "./session.js";
export interface ReplicaOptions {
    fields: Record<string, unknown>;
    outbox: OutboxOptions;
    snapshots: SnapshotOptions;
}
export interface ReplicaPorts {
    saved(): void;
    failed(reason: Error): void;
}
export declare class Replica {
    #private;
    constructor(doc: Y.Doc, origin: unknown, options: ReplicaOptions, ports: ReplicaPorts);
    /** Where to go on. */
    get position(): Position;
    get isSaved(): boolean;
    destroy(): void;
    /** A connection begins. */
    attach(link: SessionLink): void;
    /** A connection has ended. A comparison that was not finished begins anew with the next one. */
    detach(): void;
    /** The position is lost, or messages after it are. */
    restart(): void;
    receive({ cursor, headers, payload, snapshot }: Message): void;
    /** The document has everything that was in the log: from now on ours is published. */
    publish(): Promise<void>;
}
