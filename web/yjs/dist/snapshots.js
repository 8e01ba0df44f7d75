/**
 * When a client writes a snapshot. Everybody counts what has come since the last snapshot that it
 * knows of, and only the author of the message that reaches the limit acts: all see the same order,
 * so it is one. Snapshots of others do not show, so it asks how much is kept before it writes one.
 */
export class Snapshots {
    #options;
    #ports;
    #messages = 0;
    #bytes = 0;
    #snapshotBytes = 0;
    #isBusy = false;
    constructor(options, ports) {
        this.#options = options;
        this.#ports = ports;
    }
    /** The log is read from its newest snapshot on. */
    restart() {
        this.#messages = 0;
        this.#bytes = 0;
    }
    /** A message has come. */
    count(bytes) {
        this.#messages += 1;
        this.#bytes += bytes;
    }
    /** The message that was counted last is our own. */
    consider() {
        if (this.#isBusy || !this.#isDue(this.#messages, this.#bytes))
            return;
        this.#isBusy = true;
        this.#act().catch(this.#ports.failed).finally(() => {
            this.#isBusy = false;
        });
    }
    /** What was under way ended with its connection. */
    release() {
        this.#isBusy = false;
    }
    async #act() {
        const report = await this.#ports.report();
        this.#messages = report?.messages ?? 0;
        this.#bytes = (report?.bytes ?? 0) - this.#snapshotBytes;
        if (!this.#isDue(this.#messages, this.#bytes))
            return;
        this.restart();
        this.#snapshotBytes = await this.#ports.write();
    }
    #isDue(messages, bytes) {
        const { messages: messagesMax, bytes: bytesMax } = this.#options;
        return messages >= messagesMax || bytes >= Math.max(bytesMax, this.#snapshotBytes);
    }
}
