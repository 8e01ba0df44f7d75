/**
 * When a client writes a snapshot. Everybody counts what has come since the last snapshot that it
 * knows of. Who wrote the message that reaches the limit acts, and if nothing comes of that, who
 * wrote the one that is a quarter beyond it, and so on: all see the same order, so it is one at a
 * time. Snapshots of others do not show, so it asks how much is kept before it writes one.
 */
/** Marks in the way to a limit; the author of the message that passes one may act. */
const MARKS = 4;
export class Snapshots {
    #options;
    #ports;
    #messages = 0;
    #bytes = 0;
    #snapshotBytes = 0;
    #mark = 0;
    #isBusy = false;
    constructor(options, ports) {
        this.#options = options;
        this.#ports = ports;
    }
    /** The log begins with a snapshot of so many bytes, or with nothing. */
    begin(snapshotBytes) {
        this.#snapshotBytes = snapshotBytes;
        this.#set(0, 0);
    }
    /** A message has come. When it is our own, it may be our turn. */
    count(bytes, isOurs) {
        const before = this.#mark;
        this.#set(this.#messages + 1, this.#bytes + bytes);
        if (isOurs && this.#mark > before && this.#isDue && !this.#isBusy)
            this.#begin();
    }
    /** What was under way ended with its connection. */
    release() {
        this.#isBusy = false;
    }
    #begin() {
        this.#isBusy = true;
        this.#act().catch(this.#ports.failed).finally(() => {
            this.#isBusy = false;
        });
    }
    async #act() {
        const report = await this.#ports.report();
        this.#set(report?.messages ?? 0, (report?.bytes ?? 0) - this.#snapshotBytes);
        if (this.#isDue)
            this.begin(await this.#ports.write());
    }
    #set(messages, bytes) {
        const bytesMax = Math.max(this.#options.bytes, this.#snapshotBytes);
        const progress = Math.max(messages / this.#options.messages, bytes / bytesMax);
        this.#messages = messages;
        this.#bytes = bytes;
        this.#mark = Math.floor(progress * MARKS);
    }
    get #isDue() {
        return this.#mark >= MARKS;
    }
}
