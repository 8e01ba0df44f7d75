/** The samples in schema/examples: what their comments tell the reader to try works. */

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { buildClientSchema, getIntrospectionQuery, parse, validate } from "graphql";
import { post, startBroker } from "./broker.mjs";

const SAMPLES = new URL("../../schema/examples/", import.meta.url);

/** The documents in the comments of a file: indented, between empty lines. */
function documentsOf(text) {
  const comment = text.match(/^#.*$/gm).map((line) => line.slice(1)).join("\n");
  const blocks = comment.split(/\n *\n/).filter((block) => block.startsWith("   "));
  return blocks.filter((block) => /^ *(subscription|mutation|query|\{)/.test(block));
}

async function samples() {
  const names = (await readdir(SAMPLES)).filter((name) => name.endsWith(".graphql"));
  return Promise.all(names.map(async (name) =>
    [name, documentsOf(await readFile(new URL(name, SAMPLES), "utf8"))]));
}

test("the documents in their comments are valid, and are answered", async (t) => {
  const broker = await startBroker(t, { flags: ["--schema", SAMPLES.pathname] });
  const { body } = await post(broker, { query: getIntrospectionQuery({ oneOf: true }) });
  const schema = buildClientSchema(body.data);
  for (const [name, documents] of await samples()) {
    assert.ok(documents.length >= 2, `${name} shows something to try`);
    for (const query of documents) {
      const document = parse(query);
      assert.deepEqual(validate(schema, document), [], `${name}:\n${query}`);
      if (document.definitions[0].operation === "subscription") continue;
      const answer = await post(broker, { query });
      assert.equal(answer.body.errors, undefined, `${name}: ${JSON.stringify(answer.body)}`);
    }
  }
});
