/**
 * Awareness as the presence of a topic: everybody's state is the state of a member, and who leaves
 * vanishes, for the broker says so. Nothing of it is in the log.
 */

import type { Client } from "graphql-ws";
import * as encoding from "lib0/encoding";
import type { Awareness } from "y-protocols/awareness";
import { applyAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import type { Lost, Requests } from "./graphql.js";
import { JOIN, Refused, UPDATE_PRESENCE, start } from "./graphql.js";

interface PresenceEvent {
  kind: "PRESENT" | "JOINED" | "UPDATED" | "LEFT";
  member: { connection: string; state: unknown };
}

/** What a member says of itself. */
interface MemberState {
  /** The id of its document, which is the key in `awareness.getStates()`. */
  client: number;
  /** Newer states have greater ones. */
  clock: number;
  /** Its awareness; null when it only watches. */
  state: object | null;
}

export interface PresenceOptions {
  /** At most one change of the own state in this time; the newest is sent last. */
  intervalMs: number;
  /** The origin of changes, as awareness reports it. */
  origin: unknown;
  /** Nobody is told of anybody any more. */
  ended(reason: Refused | Lost): void;
}

/** Awareness forgets whom it has not heard of for 30 s; the broker's word holds until it is taken
 * back. */
const REFRESH_MS = 10_000;

export class Presence {
  readonly #awareness: Awareness;
  readonly #requests: Requests;
  readonly #topic: string;
  readonly #options: PresenceOptions;
  /** Whose connection is whose. */
  readonly #clients = new Map<string, number>();
  /** Who came back may be there twice for a while: then the connection that came last counts. */
  readonly #newest = new Map<number, string>();
  readonly #stop: () => void;
  readonly #refreshing: ReturnType<typeof setInterval>;
  #throttle: ReturnType<typeof setTimeout> | undefined;
  #hasJoined = false;
  #isBusy = false;
  #sentClock: number;

  constructor(
    client: Client, requests: Requests, topic: string, awareness: Awareness,
    options: PresenceOptions,
  ) {
    this.#requests = requests;
    this.#topic = topic;
    this.#awareness = awareness;
    this.#options = options;
    const state = this.#own();
    this.#sentClock = state.clock;
    this.#stop = start<{ join: PresenceEvent }>(client, JOIN, { topic, state }, {
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
  stop(): void {
    this.#stop();
    this.#awareness.off("change", this.#changed);
    clearInterval(this.#refreshing);
    clearTimeout(this.#throttle);
    this.#remove([...this.#newest.keys()]);
    this.#clients.clear();
    this.#newest.clear();
  }

  #own(): MemberState {
    const client = this.#awareness.clientID;
    // Clocks of awareness begin with 0, which others take for nothing new.
    const clock = (this.#awareness.meta.get(client)?.clock ?? 0) + 1;
    return { client, clock, state: this.#awareness.getLocalState() };
  }

  readonly #changed = (
    { added, updated, removed }: Record<"added" | "updated" | "removed", number[]>,
  ): void => {
    const own = this.#awareness.clientID;
    if ([...added, ...updated, ...removed].includes(own)) this.#publish();
  };

  /** At once when there was nothing lately, otherwise when the time has come. */
  #publish(): void {
    if (!this.#hasJoined || this.#isBusy || this.#throttle !== undefined) return;
    const state = this.#own();
    if (state.clock === this.#sentClock) return;
    this.#isBusy = true;
    this.#throttle = setTimeout(() => {
      this.#throttle = undefined;
      this.#publish();
    }, this.#options.intervalMs);
    const settled = (isDone: boolean) => {
      this.#isBusy = false;
      if (isDone) this.#sentClock = state.clock;
      this.#publish();
    };
    const variables = { topic: this.#topic, state };
    this.#requests.send<{ updatePresence: boolean }>(UPDATE_PRESENCE, variables)
      .then(({ updatePresence }) => settled(updatePresence), (reason: unknown) => {
        // What is refused for good is not tried again; the next change may be accepted.
        settled(reason instanceof Refused && !reason.passes);
      });
  }

  #receive({ kind, member }: PresenceEvent): void {
    // The joiner is among those present: now there is a member whose state can change.
    this.#hasJoined = true;
    this.#publish();
    const state = memberState(member.state);
    if (kind === "LEFT") this.#left(member.connection);
    else if (state !== null && state.client !== this.#awareness.clientID) {
      this.#show(member.connection, state);
    }
  }

  #show(connection: string, state: MemberState): void {
    const { client } = state;
    if (this.#clients.get(connection) !== client) {
      this.#clients.set(connection, client);
      this.#newest.set(client, connection);
      // Its clock may have begun anew.
      const meta = this.#awareness.meta.get(client);
      if (meta) meta.clock = -1;
    }
    if (this.#newest.get(client) !== connection) return;
    applyAwarenessUpdate(this.#awareness, encodeState(state), this.#options.origin);
  }

  #left(connection: string): void {
    const client = this.#clients.get(connection);
    this.#clients.delete(connection);
    if (client === undefined || this.#newest.get(client) !== connection) return;
    this.#newest.delete(client);
    this.#remove([client]);
  }

  #remove(clients: number[]): void {
    removeAwarenessStates(this.#awareness, clients, this.#options.origin);
    // Their clocks go, too: who comes back with the same state is new.
    for (const client of clients) this.#awareness.meta.delete(client);
  }

  #refresh(): void {
    for (const client of this.#clients.values()) {
      const meta = this.#awareness.meta.get(client);
      if (meta) meta.lastUpdated = Date.now();
    }
  }
}

/** Others may join the topic as well, and say of themselves what they like. */
function memberState(value: unknown): MemberState | null {
  const { client, clock, state = null } = (value ?? {}) as Partial<MemberState>;
  if (!Number.isSafeInteger(client) || !Number.isSafeInteger(clock)) return null;
  return { client: client as number, clock: clock as number, state };
}

/** One state as y-protocols encodes it. */
function encodeState({ client, clock, state }: MemberState): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, 1);
  encoding.writeVarUint(encoder, client);
  encoding.writeVarUint(encoder, clock);
  encoding.writeVarString(encoder, JSON.stringify(state));
  return encoding.toUint8Array(encoder);
}
