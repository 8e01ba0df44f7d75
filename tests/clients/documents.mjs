/** Documents with many editors: their broker, what they do, and what has to hold in the end. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { finallyDo, post, startBroker, until } from "./broker.mjs";
import { Editor } from "./editors.mjs";

export const TOPIC = "docs.minutes";
/** Far less than what is written, so that nothing of the beginning is there without snapshots. */
const KEPT_MESSAGES = 400;
export const SNAPSHOT_MESSAGES = 60;

/** What editors are told who are simulated: to be quicker than people are. */
export const SIMULATED = { snapshotMessages: SNAPSHOT_MESSAGES, awarenessMs: 5, mergeMs: 1 };

/** A broker that keeps few messages of a document, of any age; `disk` names a folder of its own. */
export async function startDocuments(t, ...flags) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidings-yjs-"));
  const config = path.join(folder, "tidings.toml");
  await writeFile(config, `[[topics]]\nmatch = "docs.>"\nkeep = {last = ${KEPT_MESSAGES}}\n`);
  const own = flags.map((flag) => (flag === "disk" ? path.join(folder, flag) : flag));
  const all = { flags: ["--config", config, ...own] };
  const broker = await startBroker(t, all);
  finallyDo(t, () => rm(folder, { recursive: true, maxRetries: 5 }), { last: true });
  return { ...broker, again: () => startBroker(t, { ...all, listen: broker.client }) };
}

/** An editor who is there until the test ends. */
export function open(t, broker, name, random, options, topic = TOPIC) {
  const editor = new Editor(name, broker.ws, topic, random, options);
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

/** Whether everybody knows of everybody, and of nobody else. */
export const isTold = (editors) => {
  const there = editors.map(({ doc, name }) => `${doc.clientID} ${name}`).sort().join();
  return () => editors.every((editor) => awarenessOf(editor).join() === there);
};

export const isSame = (editors) => () => {
  const [first, ...rest] = editors.map(({ text }) => text.toString());
  return rest.every((text) => text === first);
};

/** How much is kept of a document. */
export async function logOf(broker, topic = TOPIC) {
  const query = `{ topic(name: "${topic}") { messages bytes } }`;
  return (await post(broker, { query })).body.data.topic;
}

/** Whatever was saved is there once, for all of them. */
export function assertNothingLost(editors, everSaved) {
  for (const { list, name } of editors) {
    const words = list.toArray();
    assert.equal(new Set(words).size, words.length, `${name} has a word twice`);
    const there = new Set(words);
    const lost = everSaved.filter((word) => !there.has(word));
    assert.deepEqual(lost, [], `${name} lacks words that were saved`);
  }
}

/** They edit for some rounds, and at last are all online and have saved. */
export async function edit(editors, random, { rounds, turns }, between) {
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < turns; turn += 1) act(random.pick(editors), random);
    const waited = Array.from({ length: 5 }, () => random.pick(editors));
    for (const editor of waited) if (editor.isOnline) await editor.has("saved");
    await between(round);
  }
  for (const editor of editors) if (!editor.isOnline) editor.comeBack();
  for (const editor of editors) await editor.has("saved");
}

/** All have one text, nothing that was saved is missing, and they know who is there. */
export async function assertAgreed(editors) {
  await until(isSame(editors));
  await until(isTold(editors));
  const saved = editors.flatMap((editor) => editor.saved);
  assertNothingLost(editors, saved);
  const errors = editors.flatMap((editor) => editor.errors.map(String));
  assert.deepEqual([...new Set(errors)], []);
  return `${saved.length} words saved, ${editors[0].text.length} characters`;
}
