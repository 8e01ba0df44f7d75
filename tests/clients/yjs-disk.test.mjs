/** @tidings/yjs on the engine `disk`: what a broker said is saved outlives it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom, seedOf } from "./chance.mjs";
import { SIMULATED, assertAgreed, edit, open, startDocuments } from "./documents.mjs";

test("a broker on disk that is killed again and again keeps what it said is saved", async (t) => {
  const random = randomFrom(seedOf(t));
  const broker = await startDocuments(t, "--data", "disk");
  let running = broker;
  const killed = async () => {
    await running.kill();
    running = await broker.again();
  };
  const options = { ...SIMULATED, snapshotMessages: 20 };
  const join = (name) => open(t, broker, name, random, options);
  const editors = Array.from({ length: 10 }, (_, index) => join(`e${index}`));
  await edit(editors, random, { rounds: 40, turns: 20 }, async (round) => {
    if (round % 4 !== 3) return;
    await killed();
    // Every other time all editors fail with it: then nobody but the disk has what was saved.
    if (round % 8 === 7) for (const editor of editors) editor.crash();
  });
  t.diagnostic(await assertAgreed(editors));
  const text = editors[0].text.toString();
  for (const editor of editors) editor.close();
  await killed();
  const late = join("late");
  await late.has("synced");
  assert.equal(late.text.toString(), text, "the disk has it, not only the editors");
});
