/** examples/ot: operational transformation on `ifLast`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { finallyDo, post, startBroker, until } from "./broker.mjs";
import { randomFrom, seedOf } from "./chance.mjs";
import { newClient } from "./fragile.mjs";
import { OtDocument } from "../../examples/ot/document.mjs";
import { apply, transform } from "../../examples/ot/transform.mjs";

const SAMPLES = fileURLToPath(new URL("../../schema/examples", import.meta.url));

/** Some operations that follow each other, on a text. */
function operationsOn(text, count, random) {
  const operations = [];
  for (let index = 0; index < count; index += 1) {
    const at = random.below(text.length + 1);
    const operation = random.below(2) && at < text.length
      ? { delete: { at, count: 1 + random.below(text.length - at) } }
      : { insert: { at, text: random.pick(["a", "bc", "def"]) } };
    operations.push(operation);
    text = apply(text, [operation]);
  }
  return operations;
}

test("operations on the same text, transformed, give the same text in either order", (t) => {
  const random = randomFrom(seedOf(t));
  for (let round = 0; round < 2_000; round += 1) {
    const text = "0123456789".slice(0, random.below(11));
    const [earlier, later] = [0, 0].map(() => operationsOn(text, random.below(5), random));
    const [earlierAfter, laterAfter] = transform(earlier, later);
    const one = apply(apply(text, earlier), laterAfter);
    const other = apply(apply(text, later), earlierAfter);
    assert.equal(one, other, JSON.stringify({ text, earlier, later }));
  }
});

test("ten editors who overtake each other, and lose their connections, agree", async (t) => {
  const random = randomFrom(seedOf(t));
  const broker = await startBroker(t, { flags: ["--schema", SAMPLES] });
  const editors = Array.from({ length: 10 }, (_, index) => {
    const { client, cut } = newClient(broker.ws);
    const editor = { name: `e${index}`, cut, faults: [] };
    editor.document = new OtDocument(client, "minutes", editor.name, (fault) => {
      if (fault) editor.faults.push(fault);
    });
    finallyDo(t, () => client.dispose());
    return editor;
  });
  const words = [];
  for (let turn = 0; turn < 300; turn += 1) {
    const editor = random.pick(editors);
    if (random.below(20) === 0) editor.cut();
    const word = `<${editor.name}.${turn}>`;
    words.push(word);
    const at = random.below(editor.document.text.length + 1);
    editor.document.edit([{ insert: { at, text: word } }]);
    if (random.below(8) === 0) await until(() => random.pick(editors).document.isSaved);
  }
  await until(() => editors.every(({ document }) => document.isSaved));
  const { body } = await post(broker, { query: "{ edit(document: \"minutes\") { revision } }" });
  const { revision } = body.data.edit;
  await until(() => editors.every(({ document }) => document.revision === revision));
  const [text, ...others] = editors.map(({ document }) => document.text);
  for (const other of others) assert.equal(other, text);
  assert.deepEqual(editors.flatMap(({ faults }) => faults), []);
  const letters = (all) => [...all].sort().join("");
  assert.equal(letters(text), letters(words.join("")), "nothing is lost, nothing is there twice");
  t.diagnostic(`${words.length} insertions in ${revision} edits`);
});
