/**
 * When a client writes a snapshot. Everybody counts what has come since the last snapshot that it
 * knows of. Who wrote the message that reaches the limit acts, and if nothing comes of that, who
 * wrote the one that is a quarter beyond it, and so on: all see the same order, so it is one at a
 * time. Snapshots of others do not show, so it asks how much is kept before it writes one.
 */
import type { TopicReport } from "./graphql.js";
export interface SnapshotOptions {
    /** A snapshot after so many messages. */
    messages: number;
    /** Or after so many bytes, and not before they are as many as the snapshot has. */
    bytes: number;
}
export interface SnapshotPorts {
    /** The topic as the broker has it. */
    report(): Promise<TopicReport | null>;
    /**
     * Replaces what was received so far by the document as it is now, and gives its size. The
     * document and the cursor are read in one go: it holds everything up to there.
     */
    write(): Promise<number>;
    failed(reason: unknown): void;
}
export declare class Snapshots {
    #private;
    constructor(options: SnapshotOptions, ports: SnapshotPorts);
    /** The log begins with a snapshot of so many bytes, or with nothing. */
    begin(snapshotBytes: number): void;
    /** A message has come. When it is our own, it may be our turn. */
    count(bytes: number, isOurs: boolean): void;
    /** What was under way ended with its connection. */
    release(): void;
}
