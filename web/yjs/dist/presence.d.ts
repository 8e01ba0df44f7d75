/**
 * Awareness as the presence of a topic: everybody's state is the state of a member, and who leaves
 * vanishes, for the broker says so. Nothing of it is in the log.
 */
import type { Client } from "graphql-ws";
import type { Awareness } from "y-protocols/awareness";
import type { Lost, Requests } from "./graphql.js";
import { Refused } from "./graphql.js";
export interface PresenceOptions {
    /** At most one change of the own state in this time; the newest is sent last. */
    intervalMs: number;
    /** The origin of changes, as awareness reports it. */
    origin: unknown;
    /** Nobody is told of anybody any more. */
    ended(reason: Refused | Lost): void;
}
export declare class Presence {
    #private;
    constructor(client: Client, requests: Requests, topic: string, awareness: Awareness, options: PresenceOptions);
    /** Leaves. Who was there is unknown from now on. */
    stop(): void;
}
