/** @tidings/yjs: documents that many people edit at once, through whatever befalls them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as Y from "yjs";
import { finallyDo, post, publish, startBroker, until } from "./broker.mjs";
import { randomFrom, seedOf } from "./chance.mjs";
import {
  SIMULATED, SNAPSHOT_MESSAGES, TOPIC, assertAgreed, assertNothingLost, edit, isSame, isTold, logOf,
  open, startDocuments,
} from "./documents.mjs";
import { Refused, TidingsProvider } from "./editors.mjs";
import { newClient } from "./fragile.mjs";
import { startWire } from "./wire.mjs";

const SAMPLES = fileURLToPath(new URL("../../schema/examples", import.meta.url));
const EDITORS = 50;
const ROUNDS = 40;

test("fifty editors, disconnected at random, end with the same text", async (t) => {
  const random = randomFrom(seedOf(t));
  const broker = await startDocuments(t);
  const join = (name) => open(t, broker, name, random, SIMULATED);
  const editors = Array.from({ length: EDITORS / 2 }, (_, index) => join(`e${index}`));
  let peak = 0;
  await edit(editors, random, { rounds: ROUNDS, turns: EDITORS }, async () => {
    if (editors.length < EDITORS) editors.push(join(`e${editors.length}`));
    peak = Math.max(peak, (await logOf(broker)).messages);
  });
  const result = await assertAgreed(editors);
  const log = await logOf(broker);
  t.diagnostic(`${result}, log ${log.messages} messages (${peak} at most), ${log.bytes} bytes`);
  assert.ok(peak <= 4 * SNAPSHOT_MESSAGES, `${peak} messages were kept`);
  const late = join("late");
  await late.has("synced");
  assert.equal(late.text.toString(), editors[0].text.toString());
  await until(isTold([...editors, late]));
});

/** Two editors who have the same text, and their broker. */
async function startPair(t, options) {
  const random = randomFrom(seedOf(t));
  const broker = await startDocuments(t);
  const [ada, bob] = ["ada", "bob"].map((name) => open(t, broker, name, random, options));
  for (let count = 0; count < 20; count += 1) ada.type();
  await ada.has("saved");
  await until(isSame([ada, bob]));
  return { random, broker, ada, bob };
}

/** Counts the updates that a document takes over from the broker. */
function countUpdates(editor) {
  const counted = { updates: 0, bytes: 0 };
  editor.doc.on("update", (update, origin) => {
    if (origin !== editor.provider) return;
    counted.updates += 1;
    counted.bytes += update.length;
  });
  return counted;
}

test("what was typed and deleted offline is merged on return, and nothing is loaded twice",
  async (t) => {
    const { broker, ada, bob } = await startPair(t);
    const before = await logOf(broker);
    ada.goOffline();
    ada.text.delete(0, 10);
    for (let count = 0; count < 3; count += 1) ada.type();
    assert.equal(ada.provider.saved, false);
    bob.type();
    await bob.has("saved");
    const counted = countUpdates(ada);
    ada.comeBack();
    await ada.has("saved");
    await until(isSame([ada, bob]));
    assert.equal(counted.updates, 1, "only what bob wrote meanwhile");
    const after = await logOf(broker);
    assert.equal(after.messages - before.messages, 2, "all that ada wrote offline is one message");
  });

test("what was only deleted in a document that was kept elsewhere is published", async (t) => {
  const { broker, ada, bob } = await startPair(t);
  ada.provider.destroy();
  ada.text.delete(0, 30);
  ada.restart();
  assert.equal(ada.provider.saved, false);
  await ada.has("saved");
  await until(isSame([ada, bob]));
  const { messages } = await logOf(broker);
  bob.restart();
  await bob.has("saved");
  assert.equal((await logOf(broker)).messages, messages, "who has nothing new publishes nothing");
});

test("an editor whose position went into a snapshot begins with the snapshot", async (t) => {
  const { broker, random, ada, bob } = await startPair(t, { snapshotMessages: 10, mergeMs: 0 });
  ada.goOffline();
  ada.type();
  for (let count = 0; count < 40; count += 1) {
    bob.type();
    await bob.has("saved");
  }
  await until(async () => (await logOf(broker)).messages <= 20);
  ada.comeBack();
  await ada.has("saved");
  await until(isSame([ada, bob]));
  assertNothingLost([ada, bob], [...ada.saved, ...bob.saved]);
  const late = open(t, broker, "late", random);
  const counted = countUpdates(late);
  await late.has("synced");
  assert.ok(counted.updates <= 20, `${counted.updates} updates for a newcomer`);
  assert.equal(late.text.toString(), ada.text.toString());
});

test("a broker that lost everything gets it back from its clients, once", async (t) => {
  const random = randomFrom(seedOf(t));
  const broker = await startDocuments(t);
  const names = Array.from({ length: 20 }, (_, index) => `e${index}`);
  const editors = names.map((name) => open(t, broker, name, random));
  for (const editor of editors) editor.type();
  for (const editor of editors) await editor.has("saved");
  await until(isSame(editors));
  const text = editors[0].text.toString();
  for (const editor of editors) editor.goOffline();
  await broker.kill();
  const next = await startBroker(t, { listen: broker.client });
  for (const editor of editors) editor.comeBack();
  await until(async () => (await logOf(next))?.messages > 0);
  for (const editor of editors) await editor.has("synced");
  for (const editor of editors) await editor.has("saved");
  const { messages } = await logOf(next);
  assert.equal(messages, 1, "one of them published what all of them had");
  const late = open(t, next, "late", random);
  await late.has("synced");
  assert.equal(late.text.toString(), text);
});

test("what a log has lost is told, and comes back with the next snapshot", async (t) => {
  const { broker, random, ada, bob } = await startPair(t, { snapshotMessages: 5, mergeMs: 0 });
  await post(broker, { query: `mutation { purge(topic: "${TOPIC}") }` });
  bob.type();
  await bob.has("saved");
  const early = open(t, broker, "early", random);
  await early.has("synced");
  assert.match(String(early.errors), /the log lost what was before/);
  for (let count = 0; count < 10; count += 1) {
    bob.type();
    await bob.has("saved");
  }
  await until(async () => (await logOf(broker)).messages < 10);
  const late = open(t, broker, "late", random);
  await late.has("synced");
  assert.deepEqual(late.errors, []);
  await until(isSame([ada, bob, late]));
  assertNothingLost([late], [...ada.saved, ...bob.saved]);
});

test("documents share a client, and a typed topic checks what they publish", async (t) => {
  const broker = await startBroker(t, { flags: ["--schema", SAMPLES] });
  const { client, cut } = newClient(broker.ws);
  finallyDo(t, () => client.dispose());
  const open = (document, fields = { document }) => {
    const doc = new Y.Doc();
    const provider =
      new TidingsProvider(client, `documents.${document}.updates`, doc, { fields });
    finallyDo(t, () => provider.destroy());
    const has = (what) => new Promise((resolve) => provider.once(what, resolve));
    return { doc, provider, has };
  };
  const [first, second, wrong] = [open("first"), open("second"), open("wrong", {})];
  const refused = wrong.has("error");
  for (const { doc } of [first, second, wrong]) doc.getText("text").insert(0, "Minutes");
  await Promise.all([first.has("saved"), second.has("saved")]);
  assert.equal((await refused).code, "BAD_PAYLOAD");
  assert.equal(wrong.provider.saved, false);
  cut();
  for (const { doc } of [first, second]) doc.getText("text").insert(0, "The ");
  await Promise.all([first.has("saved"), second.has("saved")]);
  first.provider.destroy();
  second.doc.getText("text").insert(11, " of Monday");
  await second.has("saved");
  const query = `{ documentUpdate(document: "second") { document update } }`;
  const { body } = await post(broker, { query });
  assert.equal(body.data.documentUpdate.document, "second");
  const copy = new Y.Doc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(second.doc));
  Y.applyUpdate(copy, Buffer.from(body.data.documentUpdate.update, "base64"));
  assert.equal(copy.getText("text").toString(), "The Minutes of Monday");
});

test("who says nothing for long is still there", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { ada, bob } = await startPair(t);
  await until(isTold([ada, bob]));
  const meta = ada.awareness.meta.get(bob.doc.clientID);
  // Awareness forgets who was not heard of for 30 s.
  const longAgo = Date.now() - 25_000;
  meta.lastUpdated = longAgo;
  t.mock.timers.tick(10_000);
  assert.ok(meta.lastUpdated > longAgo, "the broker would have said that bob left");
});

test("what is no update is told, and never compacted away", async (t) => {
  const { broker, ada, bob } = await startPair(t, { snapshotMessages: 5, mergeMs: 0 });
  await publish(broker, TOPIC, { update: "no update at all" });
  const { messages } = await logOf(broker);
  for (let count = 0; count < 10; count += 1) {
    bob.type();
    await bob.has("saved");
  }
  await until(isSame([ada, bob]));
  assert.match(String(bob.errors), /is no update of Yjs/);
  assert.equal((await logOf(broker)).messages, messages + 10);
});

test("what breaks in the application is told, and the document goes on", async (t) => {
  const { ada, bob } = await startPair(t);
  ada.text.observe(() => {
    throw new Error("a bug");
  });
  bob.type();
  await bob.has("saved");
  await until(isSame([ada, bob]));
  assert.deepEqual(ada.errors.map(String), ["Error: a bug"]);
  assert.equal(ada.provider.status, "connected");
});

test("what is too long is told, and the rest goes on", async (t) => {
  const { ada, bob } = await startPair(t);
  for (const length of [300_000, 2_000_000]) {
    const refused = new Promise((resolve) => ada.provider.once("error", resolve));
    ada.text.insert(0, "x".repeat(length));
    assert.equal((await refused).code, "PAYLOAD_TOO_LARGE");
    assert.equal(ada.provider.saved, false);
    bob.type();
    await bob.has("saved");
    await until(() => ada.list.length === bob.list.length);
    ada.crash();
    await ada.has("synced");
  }
  assert.equal(ada.text.toString(), bob.text.toString());
});

test("a connection on which nobody answers is given up", async (t) => {
  const broker = await startDocuments(t);
  const wire = await startWire(t, broker);
  const ada = open(t, wire, "ada", randomFrom(seedOf(t)), { silenceMs: 150 });
  await ada.has("synced");
  wire.silence();
  ada.type();
  await ada.has("saved");
  assert.equal((await logOf(broker)).messages, 1, "it arrived at once, and was sent again");
});

test("a refusal that is final is told, and ends the attempts", async (t) => {
  const broker = await startBroker(t);
  const editor = open(t, broker, "ada", randomFrom(1), { connect: false }, "docs..minutes");
  const refused = new Promise((resolve) => editor.provider.once("error", resolve));
  editor.provider.connect();
  assert.ok(await refused instanceof Refused);
  assert.equal(editor.provider.status, "disconnected");
});
