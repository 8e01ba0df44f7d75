/** Two thousand messages of all sizes and kinds, each with the hash of its own text. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { post } from "./broker.mjs";

export const MESSAGES = 2000;
/** Room for all of them, and for a reader that is slow at times. */
export const CORPUS_FLAGS = ["--set", "keep.last=100000", "--set", "keep.bytes=64MiB"];

const MANY = `mutation ($messages: [PublishInput!]!) {
  publishMany(messages: $messages) { cursor }
}`;
const BATCH = 50;
const BYTES_MIN = 10;
const BYTES_MAX = 20_000;

/** A number that differs from message to message, the same in every run. */
const noise = (seed) => Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) >>> 0;

const KINDS = [
  (bytes) => "tick ".repeat(bytes / 5),
  (bytes, seed) => Array.from({ length: bytes / 8 }, (_, at) =>
    noise(seed * 7919 + at).toString(16).padStart(8, "0")).join(""),
  (bytes) => "気温は二十度です。Погода 😀 ".repeat(bytes / 60 + 1),
  (bytes, seed) => Array.from({ length: bytes / 40 + 1 }, (_, at) =>
    `{"symbol":"S${at}","bid":${noise(seed + at) % 1000}}`).join(","),
  () => "",
];

/** The text of a message: sizes go from 10 bytes to 20 KB, each ten times as large as often. */
function text(number) {
  const part = (noise(number + 1) % 1000) / 1000;
  const bytes = BYTES_MIN * (BYTES_MAX / BYTES_MIN) ** part;
  return KINDS[number % KINDS.length](Math.floor(bytes), number);
}

function payload(number) {
  const own = text(number);
  return { number, text: own, sum: createHash("sha256").update(own).digest("hex") };
}

/** Publishes messages of the corpus to a topic. */
export async function publishCorpus(broker, topic, from = 0, to = MESSAGES) {
  for (let first = from; first < to; first += BATCH) {
    const count = Math.min(BATCH, to - first);
    const messages = Array.from({ length: count }, (_, at) =>
      ({ topic, payload: payload(first + at) }));
    const { body } = await post(broker, { query: MANY, variables: { messages } });
    assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  }
}
