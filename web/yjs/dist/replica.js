/**
 * The document beside its topic: what has been received, what is still to be published. It outlives
 * connections and knows nothing of them.
 *
 * The document always holds every message up to `cursor`. What was written here is in the log, in
 * the outbox, or, until the log's state has been compared with the document, somewhere in the
 * document.
 */
import * as buffer from "lib0/buffer";
import * as Y from "yjs";
import { difference, isBlank } from "./difference.js";
import { EARLIEST } from "./follower.js";
import { Refused } from "./graphql.js";
import { Outbox } from "./outbox.js";
import { Snapshots } from "./snapshots.js";
export class Replica {
    #doc;
    #origin;
    #fields;
    #ports;
    #outbox;
    #snapshots;
    #link = null;
    #cursor = null;
    /** Whether all that the document holds is in the log or in the outbox. */
    #isCompared = false;
    /** The document may hold what neither the log nor the outbox has. */
    #mayHoldMore;
    /** The log from its newest snapshot on, for as long as it is to be compared. */
    #log = [];
    /** The broker has no way from its snapshot to the present: begin with what it keeps. */
    #isTorn = false;
    #wasSaved;
    /** Something in the log could not be read, so a snapshot of ours would lose it. */
    #isPartial = false;
    constructor(doc, origin, options, ports) {
        this.#doc = doc;
        this.#origin = origin;
        this.#fields = options.fields;
        this.#ports = ports;
        this.#outbox = new Outbox(options.outbox, {
            publish: (update, id) => this.#connected().publish(this.#payload(update), id),
            changed: () => this.#tellSaved(),
            refused: ports.failed,
        });
        this.#snapshots = new Snapshots(options.snapshots, {
            report: () => this.#connected().report(),
            write: () => this.#writeSnapshot(),
            failed: (reason) => this.#snapshotFailed(reason),
        });
        this.#mayHoldMore = !isBlank(doc);
        this.#wasSaved = this.isSaved;
        doc.on("update", this.#updated);
    }
    /** Where to go on. */
    get position() {
        if (this.#cursor !== null)
            return { after: this.#cursor };
        return this.#isTorn ? { after: EARLIEST } : { snapshot: true };
    }
    get isSaved() {
        return this.#outbox.isEmpty && !this.#mayHoldMore;
    }
    destroy() {
        this.#outbox.close();
        this.#doc.off("update", this.#updated);
    }
    /** A connection begins. */
    attach(link) {
        this.#link = link;
    }
    /** A connection has ended. A comparison that was not finished begins anew with the next one. */
    detach() {
        this.#link = null;
        this.#outbox.close();
        this.#snapshots.release();
        if (!this.#isCompared)
            this.#restart();
    }
    /** The position is lost, or messages after it are. */
    restart() {
        this.#isTorn = this.#cursor === null && !this.#isTorn;
        this.#restart();
    }
    #restart() {
        this.#cursor = null;
        this.#log = [];
        this.#isCompared = false;
        this.#isPartial = false;
        this.#mayHoldMore = !isBlank(this.#doc);
        this.#snapshots.begin(0);
        this.#tellSaved();
    }
    receive({ cursor, headers, payload, snapshot }) {
        const isOurs = this.#outbox.confirm(headers?.["id"]);
        const update = this.#apply(payload, cursor, isOurs);
        this.#cursor = cursor;
        if (update !== null)
            this.#log?.push(update);
        if (snapshot)
            this.#snapshots.begin(sizeOf(update));
        else
            this.#snapshots.count(sizeOf(update), isOurs && this.#isCompared);
    }
    /** The document has everything that was in the log: from now on ours is published. */
    async publish() {
        const link = this.#connected();
        const log = this.#log;
        if (log !== null) {
            await this.#compare(link, log).finally(() => {
                if (this.#log === log)
                    this.#log = null;
            });
            if (this.#link !== link)
                return;
        }
        this.#isCompared = true;
        this.#isTorn = false;
        this.#mayHoldMore = false;
        this.#outbox.open();
        this.#tellSaved();
    }
    #updated = (update, origin) => {
        if (origin !== this.#origin)
            this.#outbox.add(update);
    };
    /**
     * Publishes what the document has and the log lacks. Where many come to a log that has lost
     * everything, `ifLast` lets one of them publish it; the others then find it there.
     */
    async #compare(link, log) {
        for (let conflicts = 0; !this.isSaved; conflicts += 1) {
            const lacking = difference(this.#doc, log);
            this.#mayHoldMore = lacking !== null;
            this.#outbox.clear();
            if (lacking === null)
                return;
            const ifLast = conflicts < CONFLICTS_MAX ? { ifLast: this.#cursor ?? "" } : {};
            const id = this.#outbox.nextId();
            try {
                return await link.publish(this.#payload(lacking), id, ifLast);
            }
            catch (reason) {
                if (!(reason instanceof Refused) || reason.code !== "CONFLICT")
                    throw reason;
                await link.received(String(reason.extensions["last"] ?? ""));
            }
        }
    }
    #writeSnapshot() {
        const upTo = this.#cursor;
        if (this.#isPartial || upTo === null)
            return Promise.resolve(0);
        const state = Y.encodeStateAsUpdate(this.#doc);
        return this.#connected().compact(upTo, this.#payload(state)).then(() => sizeOf(state));
    }
    #snapshotFailed(reason) {
        const isRefused = reason instanceof Refused && !reason.passes;
        if (isRefused && !OTHERS_WERE_FASTER.has(reason.code))
            this.#ports.failed(reason);
    }
    #connected() {
        if (this.#link === null)
            throw new Error("there is no connection");
        return this.#link;
    }
    #payload(update) {
        return { ...this.#fields, update: buffer.toBase64(update) };
    }
    /** The update of a message, once the document has it; null for one that cannot be read. */
    #apply(payload, cursor, isOurs) {
        const update = readUpdate(payload);
        if (update === null) {
            this.#isPartial = true;
            this.#ports.failed(new Error(`the message ${cursor} is no update of Yjs`));
        }
        else if (!isOurs) {
            try {
                Y.applyUpdate(this.#doc, update, this.#origin);
            }
            catch (reason) {
                // The document has it: it was an observer of the application that failed.
                this.#ports.failed(reason);
            }
        }
        return update;
    }
    #tellSaved() {
        const isSaved = this.isSaved;
        if (isSaved && !this.#wasSaved)
            this.#ports.saved();
        this.#wasSaved = isSaved;
    }
}
function readUpdate(payload) {
    try {
        const update = buffer.fromBase64(payload.update);
        Y.decodeUpdate(update);
        return update;
    }
    catch {
        return null;
    }
}
/** Bytes of an update in a message, which is base64. */
const sizeOf = (update) => Math.ceil((update?.length ?? 0) / 3) * 4;
/** Another snapshot covers what ours would have. */
const OTHERS_WERE_FASTER = new Set(["CONFLICT", "CURSOR_EXPIRED"]);
/** So often others may be faster; then ours is published without a condition. */
const CONFLICTS_MAX = 5;
