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

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #ports: SnapshotPorts;
  #messages = 0;
  #bytes = 0;
  #snapshotBytes = 0;
  #isBusy = false;

  constructor(options: SnapshotOptions, ports: SnapshotPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** The log is read from its newest snapshot on. */
  restart(): void {
    this.#messages = 0;
    this.#bytes = 0;
  }

  /** A message has come. */
  count(bytes: number): void {
    this.#messages += 1;
    this.#bytes += bytes;
  }

  /** The message that was counted last is our own. */
  consider(): void {
    if (this.#isBusy || !this.#isDue(this.#messages, this.#bytes)) return;
    this.#isBusy = true;
    this.#act().catch(this.#ports.failed).finally(() => {
      this.#isBusy = false;
    });
  }

  /** What was under way ended with its connection. */
  release(): void {
    this.#isBusy = false;
  }

  async #act(): Promise<void> {
    const report = await this.#ports.report();
    this.#messages = report?.messages ?? 0;
    this.#bytes = (report?.bytes ?? 0) - this.#snapshotBytes;
    if (!this.#isDue(this.#messages, this.#bytes)) return;
    this.restart();
    this.#snapshotBytes = await this.#ports.write();
  }

  #isDue(messages: number, bytes: number): boolean {
    const { messages: messagesMax, bytes: bytesMax } = this.#options;
    return messages >= messagesMax || bytes >= Math.max(bytesMax, this.#snapshotBytes);
  }
}
