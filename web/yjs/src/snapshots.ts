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

/** Marks in the way to a limit; the author of the message that passes one may act. */
const MARKS = 4;

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #ports: SnapshotPorts;
  #messages = 0;
  #bytes = 0;
  #snapshotBytes = 0;
  #mark = 0;
  #isBusy = false;

  constructor(options: SnapshotOptions, ports: SnapshotPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** The log begins with a snapshot of so many bytes, or with nothing. */
  begin(snapshotBytes: number): void {
    this.#snapshotBytes = snapshotBytes;
    this.#set(0, 0);
  }

  /** A message has come. When it is our own, it may be our turn. */
  count(bytes: number, isOurs: boolean): void {
    const before = this.#mark;
    this.#set(this.#messages + 1, this.#bytes + bytes);
    if (isOurs && this.#mark > before && this.#isDue && !this.#isBusy) this.#begin();
  }

  /** What was under way ended with its connection. */
  release(): void {
    this.#isBusy = false;
  }

  #begin(): void {
    this.#isBusy = true;
    this.#act().catch(this.#ports.failed).finally(() => {
      this.#isBusy = false;
    });
  }

  async #act(): Promise<void> {
    const report = await this.#ports.report();
    this.#set(report?.messages ?? 0, (report?.bytes ?? 0) - this.#snapshotBytes);
    if (this.#isDue) this.begin(await this.#ports.write());
  }

  #set(messages: number, bytes: number): void {
    const bytesMax = Math.max(this.#options.bytes, this.#snapshotBytes);
    const progress = Math.max(messages / this.#options.messages, bytes / bytesMax);
    this.#messages = messages;
    this.#bytes = bytes;
    this.#mark = Math.floor(progress * MARKS);
  }

  get #isDue(): boolean {
    return this.#mark >= MARKS;
  }
}
