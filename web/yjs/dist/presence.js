/**
 * Awareness as the presence of a topic: everybody's state is the state of a member, and who leaves
 * vanishes, for the broker says so. Nothing of it is in the log.
 */
import * as encoding from "lib0/encoding";
import { applyAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import { JOIN, Refused, UPDATE_PRESENCE, start } from "./graphql.js";
/** Awareness forgets whom it has not heard of for 30 s; the broker's word holds until it is taken
 * back. */
const REFRESH_MS = 10_000;
export class Presence {
    #awareness;
    #requests;
    #topic;
    #options;
    /** Whose connection is whose. */
    #clients = new Map();
    /** Who came back may be there twice for a while: then the connection that came last counts. */
    #newest = new Map();
    #stop;
    #refreshing;
    #throttle;
    #hasJoined = false;
    #isBusy = false;
    #sentClock;
    constructor(client, requests, topic, awareness, options) {
        this.#requests = requests;
        this.#topic = topic;
        this.#awareness = awareness;
        this.#options = options;
        const state = this.#own();
        this.#sentClock = state.clock;
        this.#stop = start(client, JOIN, { topic, state }, {
            next: ({ join }) => this.#receive(join),
            error: (reason) => {
                this.stop();
                options.ended(reason);
            },
        });
        awareness.on("change", this.#changed);
        this.#refreshing = setInterval(() => this.#refresh(), REFRESH_MS);
    }
    /** Leaves. Who was there is unknown from now on. */
    stop() {
        this.#stop();
        this.#awareness.off("change", this.#changed);
        clearInterval(this.#refreshing);
        clearTimeout(this.#throttle);
        this.#remove([...this.#newest.keys()]);
        this.#clients.clear();
        this.#newest.clear();
    }
    #own() {
        const client = this.#awareness.clientID;
        // Clocks of awareness begin with 0, which others take for nothing new.
        const clock = (this.#awareness.meta.get(client)?.clock ?? 0) + 1;
        return { client, clock, state: this.#awareness.getLocalState() };
    }
    #changed = ({ added, updated, removed }) => {
        const own = this.#awareness.clientID;
        if ([...added, ...updated, ...removed].includes(own))
            this.#publish();
    };
    /** At once when there was nothing lately, otherwise when the time has come. */
    #publish() {
        if (!this.#hasJoined || this.#isBusy || this.#throttle !== undefined)
            return;
        const state = this.#own();
        if (state.clock === this.#sentClock)
            return;
        this.#isBusy = true;
        this.#throttle = setTimeout(() => {
            this.#throttle = undefined;
            this.#publish();
        }, this.#options.intervalMs);
        const settled = (isDone) => {
            this.#isBusy = false;
            if (isDone)
                this.#sentClock = state.clock;
            this.#publish();
        };
        const variables = { topic: this.#topic, state };
        this.#requests.send(UPDATE_PRESENCE, variables)
            .then(({ updatePresence }) => settled(updatePresence), (reason) => {
            // What is refused for good is not tried again; the next change may be accepted.
            settled(reason instanceof Refused && !reason.passes);
        });
    }
    #receive({ kind, member }) {
        // The joiner is among those present: now there is a member whose state can change.
        this.#hasJoined = true;
        this.#publish();
        const state = memberState(member.state);
        if (kind === "LEFT")
            this.#left(member.connection);
        else if (state !== null && state.client !== this.#awareness.clientID) {
            this.#show(member.connection, state);
        }
    }
    #show(connection, state) {
        const { client } = state;
        if (this.#clients.get(connection) !== client) {
            this.#clients.set(connection, client);
            this.#newest.set(client, connection);
            // Its clock may have begun anew.
            const meta = this.#awareness.meta.get(client);
            if (meta)
                meta.clock = -1;
        }
        if (this.#newest.get(client) !== connection)
            return;
        applyAwarenessUpdate(this.#awareness, encodeState(state), this.#options.origin);
    }
    #left(connection) {
        const client = this.#clients.get(connection);
        this.#clients.delete(connection);
        if (client === undefined || this.#newest.get(client) !== connection)
            return;
        this.#newest.delete(client);
        this.#remove([client]);
    }
    #remove(clients) {
        removeAwarenessStates(this.#awareness, clients, this.#options.origin);
        // Their clocks go, too: who comes back with the same state is new.
        for (const client of clients)
            this.#awareness.meta.delete(client);
    }
    #refresh() {
        for (const client of this.#clients.values()) {
            const meta = this.#awareness.meta.get(client);
            if (meta)
                meta.lastUpdated = Date.now();
        }
    }
}
/** Others may join the topic as well, and say of themselves what they like. */
function memberState(value) {
    const { client, clock, state = null } = (value ?? {});
    if (!Number.isSafeInteger(client) || !Number.isSafeInteger(clock))
        return null;
    return { client: client, clock: clock, state };
}
/** One state as y-protocols encodes it. */
function encodeState({ client, clock, state }) {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 1);
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, clock);
    encoding.writeVarString(encoder, JSON.stringify(state));
    return encoding.toUint8Array(encoder);
}
