/** @tidings/yjs: documents that many people edit at once, through whatever befalls them. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { finallyDo, post, startBroker, until } from "./broker.mjs";
import { Editor, randomFrom, seedOf } from "./editors.mjs";

const TOPIC = "docs.minutes";
const EDITORS = 50;
const ROUNDS = 60;
/** Far less than what is written, so that nothing of the beginning is there without snapshots. */
const KEPT_MESSAGES = 400;
const SNAPSHOT_MESSAGES = 60;

/** A broker that keeps few messages of a document, of any age. */
async function startDocuments(t, ...flags) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidings-yjs-"));
  finallyDo(t, () => rm(folder, { recursive: true }), { last: true });
  const config = path.join(folder, "tidings.toml");
  await writeFile(config, `[[topics]]\nmatch = "docs.>"\nkeep = {last = ${KEPT_MESSAGES}}\n`);
  return startBroker(t, { flags: ["--config", config, ...flags] });
}

function open(t, broker, name, random, options) {
  const editor = new Editor(name, broker.ws, TOPIC, random, options);
  finallyDo(t, () => editor.close());
  return editor;
}

/** What an editor does when it is its turn: mostly it writes. */
const ACTIONS = [
  ...Array(24).fill("type"), ...Array(12).fill("delete"), ...Array(4).fill("point"),
  "cut", "cut", "goOffline", "restart", "crash",
];

function act(editor, random) {
  if (!editor.isOnline && random.below(4) === 0) return editor.comeBack();
  editor[random.pick(ACTIONS)]();
}

/** Who is where, by each of them. */
function awarenessOf(editor) {
  const states = [...editor.awareness.getStates()];
  return states.map(([client, { name }]) => `${client} ${name}`).sort();
}

const isTold = (editors) => {
  const there = editors.map(({ doc, name }) => `${doc.clientID} ${name}`).sort().join();
  return () => editors.every((editor) => awarenessOf(editor).join() === there);
};

const isSame = (editors) => () => {
  const [first, ...rest] = editors.map(({ text }) => text.toString());
  return rest.every((text) => text === first);
};

async function logOf(broker) {
  const query = `{ topic(name: "${TOPIC}") { messages bytes } }`;
  return (await post(broker, { query })).body.data.topic;
}

function assertNothingLost(editors, everSaved) {
  for (const { list, name } of editors) {
    const words = list.toArray();
    assert.equal(new Set(words).size, words.length, `${name} has a word twice`);
    const there = new Set(words);
    const lost = everSaved.filter((word) => !there.has(word));
    assert.deepEqual(lost, [], `${name} lacks words that were saved`);
  }
}

test("fifty editors, disconnected at random, end with the same text", async (t) => {
  const random = randomFrom(seedOf(t));
  const broker = await startDocuments(t);
  const options = { snapshotMessages: SNAPSHOT_MESSAGES, awarenessMs: 5, mergeMs: 1 };
  const join = (index) => open(t, broker, `e${index}`, random, options);
  const editors = Array.from({ length: EDITORS / 2 }, (_, index) => join(index));
  for (let round = 0; round < ROUNDS; round += 1) {
    if (editors.length < EDITORS) editors.push(join(editors.length));
    for (let turn = 0; turn < EDITORS; turn += 1) act(random.pick(editors), random);
    const waited = Array.from({ length: 5 }, () => random.pick(editors));
    for (const editor of waited) if (editor.isOnline) await editor.has("saved");
  }
  for (const editor of editors) if (!editor.isOnline) editor.comeBack();
  for (const editor of editors) await editor.has("saved");
  await until(isSame(editors));
  await until(isTold(editors));
  const saved = editors.flatMap((editor) => editor.saved);
  assertNothingLost(editors, saved);
  const log = await logOf(broker);
  t.diagnostic(`${saved.length} words saved, ${editors[0].text.length} characters, log `
    + `${log.messages} messages, ${log.bytes} bytes`);
  const errors = editors.flatMap((editor) => editor.errors.map(String));
  assert.deepEqual([...new Set(errors)], []);
  assert.ok(log.messages <= 2 * SNAPSHOT_MESSAGES, `${log.messages} messages are kept`);
  const late = open(t, broker, "late", random, options);
  await late.has("synced");
  assert.equal(late.text.toString(), editors[0].text.toString());
  await until(isTold([...editors, late]));
});
