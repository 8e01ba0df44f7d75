/**
 * Local updates on their way into the log. Those of a few milliseconds become one; one publish is
 * under way at a time; each has an id of its own that it keeps however often it is sent. It knows
 * nothing of connections: it is opened and closed.
 */
import * as Y from "yjs";
import { Lost, Refused } from "./graphql.js";
const RETRY_MS = 500;
export class Outbox {
    #ports;
    #options;
    #owner = ownerName();
    #waiting = [];
    #flight = null;
    #published = 0;
    #isOpen = false;
    #isBusy = false;
    /** Answers to what was sent in an earlier opening count no more. */
    #opening = 0;
    #timer;
    constructor(options, ports) {
        this.#options = options;
        this.#ports = ports;
    }
    get isEmpty() {
        return this.#flight === null && this.#waiting.length === 0;
    }
    add(update) {
        const wasEmpty = this.isEmpty;
        this.#waiting.push(update);
        this.#sendIn(this.#options.delayMs);
        if (wasEmpty)
            this.#ports.changed();
    }
    /** Forgets everything: it is in the log, or about to come there by another way. */
    clear() {
        const wasEmpty = this.isEmpty;
        this.#waiting = [];
        this.#flight = null;
        if (!wasEmpty)
            this.#ports.changed();
    }
    open() {
        this.#isOpen = true;
        this.#send();
    }
    /** Keeps what waits, and what was under way: what became of that shows in the log. */
    close() {
        this.#isOpen = false;
        this.#isBusy = false;
        this.#opening += 1;
        clearTimeout(this.#timer);
        this.#timer = undefined;
    }
    /** An id for a publish beside those of the outbox. */
    nextId() {
        this.#published += 1;
        return `${this.#owner}-${this.#published}`;
    }
    /** Whether the message with this id is one of ours. It is in the log, so it is done. */
    confirm(id) {
        if (!id?.startsWith(`${this.#owner}-`))
            return false;
        if (this.#flight?.id === id) {
            this.#flight = null;
            if (this.isEmpty)
                this.#ports.changed();
        }
        return true;
    }
    #sendIn(delayMs) {
        if (!this.#isOpen || this.#isBusy || this.#timer !== undefined)
            return;
        this.#timer = setTimeout(() => this.#send(), delayMs);
    }
    #send() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        if (!this.#isOpen || this.#isBusy)
            return;
        const flight = (this.#flight ??= this.#take());
        if (flight === null)
            return;
        this.#isBusy = true;
        const opening = this.#opening;
        this.#ports.publish(flight.update, flight.id).then(() => {
            this.confirm(flight.id);
            if (opening === this.#opening)
                this.#next();
        }, (reason) => {
            if (opening === this.#opening)
                this.#failed(reason);
        });
    }
    #next() {
        this.#isBusy = false;
        this.#send();
    }
    #failed(reason) {
        this.#isBusy = false;
        if (reason instanceof Refused && !reason.passes) {
            this.close();
            this.#ports.refused(reason);
        }
        else if (!(reason instanceof Lost)) {
            this.#sendIn(RETRY_MS);
        }
    }
    /** As many updates as fit into one, the oldest first. */
    #take() {
        let count = 0;
        let bytes = 0;
        for (const update of this.#waiting) {
            bytes += update.length;
            if (count > 0 && bytes > this.#options.bytesMax)
                break;
            count += 1;
        }
        const [first, ...rest] = this.#waiting.splice(0, count);
        if (first === undefined)
            return null;
        const update = rest.length > 0 ? Y.mergeUpdates([first, ...rest]) : first;
        return { id: this.nextId(), update };
    }
}
/** A name that no other outbox has, so that its ids are its own. */
function ownerName() {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
