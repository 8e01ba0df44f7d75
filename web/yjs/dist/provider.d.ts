/** The provider: keeps a document and a topic equal, through reconnects, restarts and pauses. */
import type { Client, ClientOptions } from "graphql-ws";
import { ObservableV2 } from "lib0/observable";
import { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
export type Status = "connecting" | "connected" | "disconnected";
/** A URL, options of `createClient` of graphql-ws, or a client of it that others use as well. */
export type Server = string | ClientOptions | Client;
export interface Events {
    status: (event: {
        status: Status;
    }) => void;
    /** Whether the document has everything that the topic had when it connected. */
    synced: (isSynced: boolean) => void;
    /** Everything written here is in the log. */
    saved: () => void;
    /** What the user has to know of; the provider goes on where that makes sense. */
    error: (reason: Error) => void;
}
export interface Options {
    /** Whose state is shown to others, and that shows theirs; one is made unless given. */
    awareness?: Awareness;
    /** Whether to join the topic; without it awareness stays here. True unless given. */
    presence?: boolean;
    /** Whether to connect at once; true unless given. */
    connect?: boolean;
    /** A connection that says nothing for so long is given up: 40000 ms. For clients made here. */
    silenceMs?: number;
    /** What every payload has beside `update`, as the placeholders of a typed topic. */
    fields?: Record<string, unknown>;
    /** Updates of so many milliseconds become one message: 10. */
    mergeMs?: number;
    /** A message has at most so many bytes of merged updates: 131072. */
    mergeBytes?: number;
    /** At most one change of the own awareness in this time: 100 ms. */
    awarenessMs?: number;
    /** One client writes a snapshot after so many messages: 200. */
    snapshotMessages?: number;
    /** Or after so many bytes: 262144. */
    snapshotBytes?: number;
}
export declare class TidingsProvider extends ObservableV2<Events> {
    #private;
    readonly doc: Y.Doc;
    readonly topic: string;
    readonly awareness: Awareness;
    constructor(server: Server, topic: string, doc: Y.Doc, options?: Options);
    get status(): Status;
    /** Whether the document has everything that the topic had when it connected. */
    get synced(): boolean;
    /** Whether everything written here is known to be in the log. */
    get saved(): boolean;
    /** Connects now, whether it was told to stop, had given up or waits for its next attempt. */
    connect(): void;
    /** Stops until `connect`. What is written meanwhile is kept. */
    disconnect(): void;
    /** Leaves for good. The document stays as it is. */
    destroy(): void;
}
