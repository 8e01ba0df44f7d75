/**
 * A document that many people edit by operational transformation. The log gives the order: an edit
 * is published with `ifLast`, on top of the last edit that was seen. Who is refused with CONFLICT
 * takes over what came in between, transforms its own edit, and publishes it again.
 */

import { apply, transform } from "./transform.mjs";

const FOLLOW = `subscription ($document: [ID!], $after: Cursor) {
  edit(document: $document, after: $after) {
    revision
    operations { insert { at text } delete { at count } }
    _message { cursor headers }
  }
}`;

const PUBLISH = `mutation ($edit: EditInput!, $id: String!, $headers: JSON!, $ifLast: Cursor!) {
  publishEdit(edit: $edit, id: $id, headers: $headers, ifLast: $ifLast) { cursor }
}`;

export class OtDocument {
  text = "";
  revision = 0;
  #client;
  #document;
  #author;
  #changed;
  #stop;
  /** The last edit that was taken over; empty before the first one. */
  #cursor = "";
  /** The edit under way: one at a time, with an id that it keeps through every attempt. */
  #flight = null;
  /** What was written since. */
  #waiting = [];

  /** @param {import("graphql-ws").Client} client */
  constructor(client, document, author, changed = () => {}) {
    this.#client = client;
    this.#document = document;
    this.#author = author;
    this.#changed = changed;
    this.#follow();
  }

  /** Whether everything written here is in the log. */
  get isSaved() {
    return this.#flight === null && this.#waiting.length === 0;
  }

  edit(operations) {
    this.text = apply(this.text, operations);
    this.#waiting.push(...operations);
    this.#publish();
  }

  close() {
    this.#stop();
  }

  #follow() {
    const here = this;
    const payload = {
      query: FOLLOW,
      // Read whenever it is sent: after a reconnect it goes on after the last edit that came.
      get variables() {
        return { document: here.#document, after: here.#cursor || "earliest" };
      },
    };
    this.#stop = this.#client.subscribe(payload, {
      next: ({ data }) => this.#receive(data.edit),
      error: (reason) => this.#changed(reason),
      complete: () => {},
    });
  }

  #receive({ revision, operations, _message: { cursor, headers } }) {
    this.revision = revision;
    this.#cursor = cursor;
    if (this.#flight !== null && headers?.id === this.#flight.id) this.#flight = null;
    else this.#takeOver(operations);
    this.#publish();
    this.#changed();
  }

  /** Somebody's edit: made without knowing what is under way and what waits here. */
  #takeOver(operations) {
    const theirs = operations.map(({ insert, delete: gone }) =>
      insert ? { insert } : { delete: gone });
    const [past, flight] = transform(theirs, this.#flight?.operations ?? []);
    const [present, waiting] = transform(past, this.#waiting);
    if (this.#flight) this.#flight.operations = flight;
    this.#waiting = waiting;
    this.text = apply(this.text, present);
  }

  #publish() {
    if (this.#flight === null && this.#waiting.length > 0) {
      const id = crypto.randomUUID();
      this.#flight = { id, operations: this.#waiting, sentAfter: null };
      this.#waiting = [];
    }
    const flight = this.#flight;
    // Once for each state of the log that is known: what is under way may still be accepted.
    if (flight === null || flight.sentAfter !== null) return;
    flight.sentAfter = this.#cursor;
    const { id, operations } = flight;
    const edit = {
      document: this.#document, author: this.#author, revision: this.revision + 1, operations,
    };
    const variables = { edit, id, headers: { id }, ifLast: this.#cursor };
    let errors;
    this.#client.subscribe({ query: PUBLISH, variables }, {
      next: (result) => (errors = result.errors),
      error: (reason) => this.#changed(reason),
      complete: () => {
        if (errors?.[0].extensions.code === "CONFLICT") this.#overtaken(flight);
        else if (errors) this.#changed(errors);
      },
    });
  }

  /** Others were faster. What they wrote has come already, or is about to. */
  #overtaken(flight) {
    const hasMovedOn = flight.sentAfter !== this.#cursor;
    flight.sentAfter = null;
    if (hasMovedOn) this.#publish();
  }
}
