/**
 * One topic, followed on one connection from a position on: its messages in order, and once, that
 * everything has come which was there when it began.
 */
import { FOLLOW, Lost, Refused, TOPIC, start } from "./graphql.js";
export const EARLIEST = "earliest";
/** Messages are missing: their topic drops or conflates, or was purged. */
export class Gap extends Error {
    name = "Gap";
}
/*
 * A subscription does not say where its replay ends, so the topic's newest cursor is asked for
 * beside it. Asked before the subscription has begun, that message may be inside a snapshot by the
 * time it begins and never come by itself; so the first message has the question asked again. What
 * is the newest from then on does come: as it is, or as a snapshot that has its cursor.
 */
export class Follower {
    #requests;
    #topic;
    #ports;
    #stop;
    #cursor;
    /** Whether it reads all that is kept: what is missing there cannot be had by reading again. */
    #isWhole;
    #delivered = new Set();
    #target = null;
    #asked = 0;
    #isCaughtUp = false;
    #isOver = false;
    constructor(client, requests, topic, position, ports) {
        this.#requests = requests;
        this.#topic = topic;
        this.#ports = ports;
        const after = "after" in position ? position.after : EARLIEST;
        this.#cursor = after === EARLIEST ? null : after;
        this.#isWhole = this.#cursor === null;
        this.#stop = start(client, FOLLOW, { topic, ...position }, {
            next: ({ messages }, { dropped }) => this.#next(messages, Boolean(dropped)),
            error: (reason) => this.#end(reason),
        });
        this.#ask();
    }
    stop() {
        this.#isOver = true;
        this.#stop();
    }
    #ask() {
        const asked = (this.#asked += 1);
        this.#requests.send(TOPIC, { topic: this.#topic }).then((answer) => {
            if (this.#isOver || asked !== this.#asked)
                return;
            this.#ports.answered(answer);
            this.#newest(answer.topic?.last ?? null);
        }, (reason) => this.#end(reason));
    }
    #newest(cursor) {
        if (this.#isOver || this.#isCaughtUp)
            return;
        this.#target = cursor;
        if (cursor === null || cursor === this.#cursor || this.#delivered.has(cursor))
            this.#done();
    }
    #next(message, isDropped) {
        if (this.#isOver)
            return;
        // What is read as a whole begins with a snapshot or with the first message of all.
        const isNext = message.snapshot || message.previous === this.#cursor;
        if (isDropped || !isNext) {
            if (!this.#isWhole || this.#isCaughtUp)
                return this.#gap(message.cursor);
            this.#ports.missing(message.cursor);
        }
        this.#cursor = message.cursor;
        this.#ports.message(message);
        if (this.#isCaughtUp || this.#isOver)
            return;
        this.#delivered.add(message.cursor);
        if (this.#delivered.size === 1)
            this.#ask();
        else if (message.cursor === this.#target)
            this.#done();
    }
    #gap(cursor) {
        this.#stop();
        this.#end(new Gap(`messages are missing before ${cursor}`));
    }
    #done() {
        this.#isCaughtUp = true;
        this.#delivered.clear();
        this.#ports.caughtUp();
    }
    #end(reason) {
        if (this.#isOver)
            return;
        this.#isOver = true;
        this.#ports.ended(reason);
    }
}
