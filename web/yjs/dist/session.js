/** One life of a connection: follows the topic, joins it, and sends for the replica. */
import { Follower, Gap } from "./follower.js";
import { COMPACT, Lost, PUBLISH, Refused, Requests, TOPIC } from "./graphql.js";
import { Presence } from "./presence.js";
/** What stands around a payload in a message of the protocol, and its headers. */
const AROUND_BYTES = 1024;
export class Session {
    #client;
    #topic;
    #replica;
    #options;
    #requests;
    /** Cursors received until the replica begins to publish, and who waits for one. */
    #received = new Set();
    #waiters = new Map();
    #follower = null;
    #presence = null;
    #isPublishing = false;
    #payloadBytesMax = Infinity;
    #isOver = false;
    constructor(client, topic, replica, options) {
        this.#client = client;
        this.#topic = topic;
        this.#replica = replica;
        this.#options = options;
        this.#requests = new Requests(client);
    }
    start() {
        const { awareness, presence, ports } = this.#options;
        this.#replica.attach(this);
        const position = this.#replica.position;
        this.#follower = new Follower(this.#client, this.#requests, this.#topic, position, {
            answered: (answer) => this.#answered(answer),
            message: (message) => this.#receive(message),
            missing: (cursor) => ports.failed(new Error(`the log lost what was before ${cursor}`)),
            caughtUp: () => this.#caughtUp(),
            ended: (reason) => this.#end(reason),
        });
        if (awareness === null)
            return;
        this.#presence = new Presence(this.#client, this.#requests, this.#topic, awareness, {
            ...presence, ended: (reason) => this.#presenceEnded(reason),
        });
    }
    stop() {
        this.#isOver = true;
        this.#replica.detach();
        this.#follower?.stop();
        this.#presence?.stop();
        this.#requests.stop();
    }
    /** The connection was closed. */
    lost(event) {
        this.#end(new Lost(event));
    }
    async publish(payload, id, condition) {
        this.#check(payload);
        const variables = { topic: this.#topic, payload, headers: { id }, id, ...condition };
        await this.#requests.send(PUBLISH, variables);
    }
    async report() {
        return (await this.#requests.send(TOPIC, { topic: this.#topic })).topic;
    }
    async compact(upTo, snapshot) {
        this.#check(snapshot);
        await this.#requests.send(COMPACT, { topic: this.#topic, upTo, snapshot });
    }
    received(cursor) {
        if (cursor === "" || this.#received.has(cursor))
            return Promise.resolve();
        return new Promise((resolve) => this.#waiters.set(cursor, resolve));
    }
    #answered({ broker: { limits } }) {
        const { payload_bytes: payload = Infinity, message_bytes: message = Infinity } = limits;
        this.#payloadBytesMax = Math.min(payload, message) - AROUND_BYTES;
        this.#options.ports.answered();
    }
    /** A payload that is too long is refused; a message that is too long ends the connection. */
    #check(payload) {
        const { length } = JSON.stringify(payload);
        if (length <= this.#payloadBytesMax)
            return;
        const message = `the payload has ${length} bytes, and the broker allows `
            + `${this.#payloadBytesMax} (limits.payload_bytes, limits.message_bytes)`;
        throw new Refused([{ message, extensions: { code: "PAYLOAD_TOO_LARGE" } }]);
    }
    #receive(message) {
        this.#replica.receive(message);
        if (this.#isPublishing)
            return;
        this.#received.add(message.cursor);
        this.#waiters.get(message.cursor)?.();
        this.#waiters.delete(message.cursor);
    }
    #caughtUp() {
        this.#options.ports.caughtUp();
        if (this.#isOver)
            return;
        this.#replica.publish().then(() => {
            this.#isPublishing = true;
            this.#received.clear();
            this.#options.ports.settled();
        }, (reason) => this.#publishFailed(reason));
    }
    #publishFailed(reason) {
        if (this.#isOver)
            return;
        if (reason instanceof Lost || (reason instanceof Refused && reason.passes)) {
            return this.#end(reason);
        }
        this.#options.ports.settled();
        this.#options.ports.failed(reason);
    }
    #presenceEnded(reason) {
        this.#presence = null;
        if (reason.passes)
            this.#end(reason);
        else if (!this.#isOver)
            this.#options.ports.failed(reason);
    }
    #end(reason) {
        if (this.#isOver)
            return;
        if (reason instanceof Gap || (reason instanceof Refused && reason.isExpired)) {
            this.#replica.restart();
        }
        this.#options.ports.ended(reason);
    }
}
