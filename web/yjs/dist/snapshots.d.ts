/**
 * When a client writes a snapshot. Everybody counts what has come since the last snapshot that it
 * knows of, and only the author of the message that reaches the limit acts: all see the same order,
 * so it is one. Snapshots of others do not show, so it asks how much is kept before it writes one.
 */
import type { TopicReport } from "./graphql.js";
export interface SnapshotOptions {
    /** A snapshot after so many messages. */
    messages: number;
    /** Or after so many bytes, and not before the log is twice as large as the document. */
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
    /** The log is read from its newest snapshot on. */
    restart(): void;
    /** A message has come. */
    count(bytes: number): void;
    /** The message that was counted last is our own. */
    consider(): void;
    /** What was under way ended with its connection. */
    release(): void;
}
