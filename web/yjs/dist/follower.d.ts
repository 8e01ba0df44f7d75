/**
 * One topic, followed on one connection from a position on: its messages in order, and once, that
 * everything has come which was there when it began.
 */
import type { Client } from "graphql-ws";
import type { Message, Requests, TopicAnswer } from "./graphql.js";
import { Lost, Refused } from "./graphql.js";
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
export type Position = {
    after: string;
} | {
    snapshot: true;
};
export declare const EARLIEST = "earliest";
/** Messages are missing: their topic drops or conflates, or was purged. */
export declare class Gap extends Error {
    readonly name = "Gap";
}
export declare class Follower {
    #private;
    constructor(client: Client, requests: Requests, topic: string, position: Position, ports: FollowerPorts);
    stop(): void;
}
