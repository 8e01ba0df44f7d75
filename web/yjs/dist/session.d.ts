/** One life of a connection: follows the topic, joins it, and sends for the replica. */
import type { Client } from "graphql-ws";
import type { Awareness } from "y-protocols/awareness";
import { Gap } from "./follower.js";
import type { TopicReport } from "./graphql.js";
import { Lost, Refused } from "./graphql.js";
import type { PresenceOptions } from "./presence.js";
import type { Replica } from "./replica.js";
/** What a replica can do while there is a connection. */
export interface SessionLink {
    publish(payload: object, id: string, condition?: {
        ifLast?: string;
    }): Promise<void>;
    report(): Promise<TopicReport | null>;
    compact(upTo: string, snapshot: object): Promise<void>;
    /** Waits until the message with this cursor has been received. */
    received(cursor: string): Promise<void>;
}
export interface SessionPorts {
    answered(): void;
    caughtUp(): void;
    /** What is written here is published, or refused for good. */
    settled(): void;
    /** Something does not work, and the session goes on without it. */
    failed(reason: Error): void;
    ended(reason: Refused | Lost | Gap): void;
}
export interface SessionOptions {
    awareness: Awareness | null;
    presence: Omit<PresenceOptions, "ended">;
    ports: SessionPorts;
}
export declare class Session implements SessionLink {
    #private;
    constructor(client: Client, topic: string, replica: Replica, options: SessionOptions);
    start(): void;
    stop(): void;
    /** The connection was closed. */
    lost(event: unknown): void;
    publish(payload: object, id: string, condition?: {
        ifLast?: string;
    }): Promise<void>;
    report(): Promise<TopicReport | null>;
    compact(upTo: string, snapshot: object): Promise<void>;
    received(cursor: string): Promise<void>;
}
