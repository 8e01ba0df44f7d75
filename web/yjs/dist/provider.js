/** The provider: keeps a document and a topic equal, through reconnects, restarts and pauses. */
import { createClient } from "graphql-ws";
import { ObservableV2 } from "lib0/observable";
import { Awareness } from "y-protocols/awareness";
import { FORBIDDEN, Lost, Refused } from "./graphql.js";
import { Replica } from "./replica.js";
import { Session } from "./session.js";
const RETRY_FIRST_MS = 100;
const RETRY_LONGEST_MS = 5_000;
export class TidingsProvider extends ObservableV2 {
    doc;
    topic;
    awareness;
    #client;
    #ownsClient;
    #ownsAwareness;
    #replica;
    #joins;
    #awarenessMs;
    #unlisten;
    #session = null;
    #retry;
    #failures = 0;
    #status = "disconnected";
    #isSynced = false;
    #isDestroyed = false;
    constructor(server, topic, doc, options = {}) {
        super();
        this.doc = doc;
        this.topic = topic;
        this.#ownsAwareness = options.awareness === undefined;
        this.awareness = options.awareness ?? new Awareness(doc);
        this.#joins = options.presence ?? true;
        this.#awarenessMs = options.awarenessMs ?? 100;
        this.#ownsClient = !isClient(server);
        this.#client = isClient(server) ? server : ownClient(server, options.silenceMs ?? 40_000);
        this.#replica = new Replica(doc, this, {
            fields: options.fields ?? {},
            outbox: { delayMs: options.mergeMs ?? 10, bytesMax: options.mergeBytes ?? 131_072 },
            snapshots: {
                messages: options.snapshotMessages ?? 200, bytes: options.snapshotBytes ?? 262_144,
            },
        }, {
            saved: () => this.emit("saved", []),
            failed: (reason) => this.emit("error", [reason]),
        });
        this.#unlisten = this.#client.on("closed", (event) => this.#session?.lost(event));
        doc.on("destroy", this.#docDestroyed);
        if (options.connect ?? true)
            this.connect();
    }
    get status() {
        return this.#status;
    }
    /** Whether the document has everything that the topic had when it connected. */
    get synced() {
        return this.#isSynced;
    }
    /** Whether everything written here is known to be in the log. */
    get saved() {
        return this.#replica.isSaved;
    }
    /** Connects now, whether it was told to stop, had given up or waits for its next attempt. */
    connect() {
        if (this.#isDestroyed || this.#session)
            return;
        clearTimeout(this.#retry);
        this.#become("connecting");
        const session = new Session(this.#client, this.topic, this.#replica, {
            awareness: this.#joins ? this.awareness : null,
            presence: { intervalMs: this.#awarenessMs, origin: this },
            ports: {
                answered: () => this.#become("connected"),
                caughtUp: () => this.#sync(true),
                settled: () => {
                    this.#failures = 0;
                },
                failed: (reason) => this.emit("error", [reason]),
                ended: (reason) => {
                    if (this.#session === session)
                        this.#ended(reason);
                },
            },
        });
        this.#session = session;
        session.start();
    }
    /** Stops until `connect`. What is written meanwhile is kept. */
    disconnect() {
        clearTimeout(this.#retry);
        this.#close();
    }
    /** Leaves for good. The document stays as it is. */
    destroy() {
        if (this.#isDestroyed)
            return;
        this.disconnect();
        this.#isDestroyed = true;
        this.#unlisten();
        this.doc.off("destroy", this.#docDestroyed);
        this.#replica.destroy();
        if (this.#ownsAwareness)
            this.awareness.destroy();
        // It rejects when it was about to connect and could not, which is just as well.
        if (this.#ownsClient)
            Promise.resolve(this.#client.dispose()).catch(() => { });
        super.destroy();
    }
    #docDestroyed = () => this.destroy();
    #close() {
        const session = this.#session;
        this.#session = null;
        session?.stop();
        this.#sync(false);
        this.#become("disconnected");
    }
    #ended(reason) {
        const mayReturn = isPassing(reason, this.#status);
        this.#close();
        if (!mayReturn)
            return this.emit("error", [reason]);
        const ceiling = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures);
        this.#failures += 1;
        this.#retry = setTimeout(() => this.connect(), ceiling * (0.5 + Math.random() / 2));
    }
    #become(status) {
        if (this.#status === status)
            return;
        this.#status = status;
        this.emit("status", [{ status }]);
    }
    #sync(isSynced) {
        if (this.#isSynced === isSynced)
            return;
        this.#isSynced = isSynced;
        this.emit("synced", [isSynced]);
    }
}
/** Whether it makes sense to connect again. */
function isPassing(reason, status) {
    if (reason instanceof Refused)
        return reason.passes || reason.isExpired;
    // A token that was good until now has expired: `connectionParams` may have the next one.
    if (reason instanceof Lost) {
        return reason.passes || (reason.code === FORBIDDEN && status === "connected");
    }
    return true;
}
function isClient(server) {
    return typeof server === "object" && "subscribe" in server;
}
/**
 * A client that leaves coming back to the provider, and hangs up when nobody is there any more: a
 * broken network says nothing, so it asks from time to time.
 */
function ownClient(server, silenceMs) {
    const options = typeof server === "string" ? { url: server } : server;
    const keepAlive = silenceMs / 3;
    const client = createClient({ ...options, lazy: true, retryAttempts: 0, keepAlive });
    let watch;
    const heard = () => {
        clearTimeout(watch);
        watch = setTimeout(() => client.terminate(), silenceMs);
    };
    client.on("connecting", heard);
    client.on("message", heard);
    client.on("closed", () => clearTimeout(watch));
    return client;
}
