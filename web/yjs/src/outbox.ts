/**
 * Local updates on their way into the log. Those of a few milliseconds become one; one publish is
 * under way at a time; each has an id of its own that it keeps however often it is sent. It knows
 * nothing of connections: it is opened and closed.
 */

import * as Y from "yjs";
import { Lost, Refused } from "./graphql.js";

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

const RETRY_MS = 500;

export class Outbox {
  readonly #ports: OutboxPorts;
  readonly #options: OutboxOptions;
  readonly #owner = ownerName();
  #waiting: Uint8Array[] = [];
  #flight: { id: string; update: Uint8Array } | null = null;
  #published = 0;
  #isOpen = false;
  #isBusy = false;
  /** Answers to what was sent in an earlier opening count no more. */
  #opening = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OutboxOptions, ports: OutboxPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  get isEmpty(): boolean {
    return this.#flight === null && this.#waiting.length === 0;
  }

  add(update: Uint8Array): void {
    const wasEmpty = this.isEmpty;
    this.#waiting.push(update);
    this.#sendIn(this.#options.delayMs);
    if (wasEmpty) this.#ports.changed();
  }

  /** Forgets everything: it is in the log, or about to come there by another way. */
  clear(): void {
    const wasEmpty = this.isEmpty;
    this.#waiting = [];
    this.#flight = null;
    if (!wasEmpty) this.#ports.changed();
  }

  open(): void {
    this.#isOpen = true;
    this.#send();
  }

  /** Keeps what waits, and what was under way: what became of that shows in the log. */
  close(): void {
    this.#isOpen = false;
    this.#isBusy = false;
    this.#opening += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** An id for a publish beside those of the outbox. */
  nextId(): string {
    this.#published += 1;
    return `${this.#owner}-${this.#published}`;
  }

  /** Whether the message with this id is one of ours. It is in the log, so it is done. */
  confirm(id: string | undefined): boolean {
    if (!id?.startsWith(`${this.#owner}-`)) return false;
    if (this.#flight?.id === id) {
      this.#flight = null;
      if (this.isEmpty) this.#ports.changed();
    }
    return true;
  }

  #sendIn(delayMs: number): void {
    if (!this.#isOpen || this.#isBusy || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#send(), delayMs);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isOpen || this.#isBusy) return;
    const flight = (this.#flight ??= this.#take());
    if (flight === null) return;
    this.#isBusy = true;
    const opening = this.#opening;
    this.#ports.publish(flight.update, flight.id).then(
      () => {
        this.confirm(flight.id);
        if (opening === this.#opening) this.#next();
      },
      (reason: unknown) => {
        if (opening === this.#opening) this.#failed(reason);
      },
    );
  }

  #next(): void {
    this.#isBusy = false;
    this.#send();
  }

  #failed(reason: unknown): void {
    this.#isBusy = false;
    if (reason instanceof Refused && !reason.passes) {
      this.close();
      this.#ports.refused(reason);
    } else if (!(reason instanceof Lost)) {
      this.#sendIn(RETRY_MS);
    }
  }

  /** As many updates as fit into one, the oldest first. */
  #take(): { id: string; update: Uint8Array } | null {
    let count = 0;
    let bytes = 0;
    for (const update of this.#waiting) {
      bytes += update.length;
      if (count > 0 && bytes > this.#options.bytesMax) break;
      count += 1;
    }
    const [first, ...rest] = this.#waiting.splice(0, count);
    if (first === undefined) return null;
    const update = rest.length > 0 ? Y.mergeUpdates([first, ...rest]) : first;
    return { id: this.nextId(), update };
  }
}

/** A name that no other outbox has, so that its ids are its own. */
function ownerName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
