/**
 * One topic, followed on one connection from a position on: its messages in order, and once, that
 * everything has come which was there when it began.
 */

import type { Client } from "graphql-ws";
import type { Message, Requests, TopicAnswer } from "./graphql.js";
import { FOLLOW, Lost, Refused, TOPIC, start } from "./graphql.js";

export interface FollowerPorts {
  /** The broker has answered. */
  answered(answer: TopicAnswer): void;
  message(message: Message): void;
  /** The log itself has lost what came before this cursor; what follows is all there is. */
  missing(cursor: string): void;
  caughtUp(): void;
  ended(reason: Refused | Lost | Gap): void;
}

/** Where to begin: after a cursor, with the newest snapshot, or with the oldest message kept. */
export type Position = { after: string } | { snapshot: true };

export const EARLIEST = "earliest";

/** Messages are missing: their topic drops or conflates, or was purged. */
export class Gap extends Error {
  override readonly name = "Gap";
}

/*
 * A subscription does not say where its replay ends, so the topic's newest cursor is asked for
 * beside it. Asked before the subscription has begun, that message may be inside a snapshot by the
 * time it begins and never come by itself; so the first message has the question asked again. What
 * is the newest from then on does come: as it is, or as a snapshot that has its cursor.
 */
export class Follower {
  readonly #requests: Requests;
  readonly #topic: string;
  readonly #ports: FollowerPorts;
  readonly #stop: () => void;
  #cursor: string | null;
  /** Whether it reads all that is kept: what is missing there cannot be had by reading again. */
  #isWhole: boolean;
  #delivered = new Set<string>();
  #target: string | null = null;
  #asked = 0;
  #isCaughtUp = false;
  #isOver = false;

  constructor(
    client: Client, requests: Requests, topic: string, position: Position, ports: FollowerPorts,
  ) {
    this.#requests = requests;
    this.#topic = topic;
    this.#ports = ports;
    const after = "after" in position ? position.after : EARLIEST;
    this.#cursor = after === EARLIEST ? null : after;
    this.#isWhole = this.#cursor === null;
    this.#stop = start<{ messages: Message }>(client, FOLLOW, { topic, ...position }, {
      next: ({ messages }, { dropped }) => this.#next(messages, Boolean(dropped)),
      error: (reason) => this.#end(reason),
    });
    this.#ask();
  }

  stop(): void {
    this.#isOver = true;
    this.#stop();
  }

  #ask(): void {
    const asked = (this.#asked += 1);
    this.#requests.send<TopicAnswer>(TOPIC, { topic: this.#topic }).then(
      (answer) => {
        if (this.#isOver || asked !== this.#asked) return;
        this.#ports.answered(answer);
        this.#newest(answer.topic?.last ?? null);
      },
      (reason) => this.#end(reason),
    );
  }

  #newest(cursor: string | null): void {
    if (this.#isOver || this.#isCaughtUp) return;
    this.#target = cursor;
    if (cursor === null || cursor === this.#cursor || this.#delivered.has(cursor)) this.#done();
  }

  #next(message: Message, isDropped: boolean): void {
    if (this.#isOver) return;
    // What is read as a whole begins with a snapshot or with the first message of all.
    const isNext = message.snapshot || message.previous === this.#cursor;
    if (isDropped || !isNext) {
      if (!this.#isWhole || this.#isCaughtUp) return this.#gap(message.cursor);
      this.#ports.missing(message.cursor);
    }
    this.#cursor = message.cursor;
    this.#ports.message(message);
    if (this.#isCaughtUp || this.#isOver) return;
    this.#delivered.add(message.cursor);
    if (this.#delivered.size === 1) this.#ask();
    else if (message.cursor === this.#target) this.#done();
  }

  #gap(cursor: string): void {
    this.#stop();
    this.#end(new Gap(`messages are missing before ${cursor}`));
  }

  #done(): void {
    this.#isCaughtUp = true;
    this.#delivered.clear();
    this.#ports.caughtUp();
  }

  #end(reason: Refused | Lost | Gap): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ports.ended(reason);
  }
}
