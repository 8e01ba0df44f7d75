/** graphql-codegen: its documents carry the types of the schema, and the compiler holds to them. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BINARY, finallyDo, startBroker } from "./broker.mjs";
import { CONSOLE_TYPES, consoleTypes, generateClient } from "./codegen.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const SAMPLES = fileURLToPath(new URL("../../schema/examples", import.meta.url));
const TSC = path.join(HERE, "node_modules/typescript/bin/tsc");
const run = promisify(execFile);

/** What the compiler says of some files; nothing when they are right. */
async function compile(...flags) {
  const { stdout } = await run(process.execPath, [TSC, ...flags]).catch((failed) => failed);
  return stdout;
}

const STRICT = ["--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module",
  "nodenext", "--types", "node", "--skipLibCheck"];

/** A folder with the program, what is generated for it, and the packages that both need. */
async function startProject(t) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidings-codegen-"));
  finallyDo(t, () => rm(folder, { recursive: true }));
  await symlink(path.join(HERE, "node_modules"), path.join(folder, "node_modules"));
  await writeFile(path.join(folder, "package.json"), '{ "type": "module" }');
  const { stdout: sdl } = await run(BINARY, ["schema", "--schema", SAMPLES]);
  const source = await readFile(path.join(HERE, "typed/watch.ts"), "utf8");
  await generateClient(sdl, { "watch.ts": source }, path.join(folder, "gql"));
  const write = (name, text) => writeFile(path.join(folder, name), text);
  await write("watch.ts", source);
  return { folder, source, write };
}

test("a program with typed documents compiles, subscribes and publishes", async (t) => {
  const { folder } = await startProject(t);
  assert.equal(await compile(...STRICT, path.join(folder, "watch.ts")), "");
  const broker = await startBroker(t, { flags: ["--schema", SAMPLES] });
  const { stdout } = await run(process.execPath, [path.join(folder, "watch.js"), broker.ws]);
  const [topic, quote] = stdout.trim().split("\n");
  assert.equal(topic, "documents.minutes.edits");
  assert.match(quote, /^BRK\.B 189\.5 REGULAR 100 \S+$/);
});

/** What is changed in the program, and what the compiler has to say about it. */
const MISTAKES = [
  ["a field that was not asked for", "{quote.bid}", "{quote.ask}", /'ask' does not exist/],
  ["a field that is not there", "{quote.bid}", "{quote.bed}", /'bed' does not exist/],
  ["a value of an unknown scalar", "shares: number = ", "shares: number = quote.last + ",
    /of type 'unknown'/],
  ["a variable that is missing", ", above: 100 }", " }", /'above' is missing/],
  ["a variable of another type", "above: 100", 'above: "100"', /'string' is not assignable/],
  ["no value of the enum", 'session: "REGULAR"', 'session: "NIGHT"', /"NIGHT"/],
  ["a field of an input that is missing", "ask: 189.6, ", "", /'ask' is missing/],
  ["two fields of a @oneOf input", "[{ insert }]", "[{ insert, delete: { at: 0, count: 1 } }]",
    /not assignable/],
];

test("the compiler finds what does not agree with the schema", async (t) => {
  const { folder, source, write } = await startProject(t);
  const files = MISTAKES.map((_, index) => path.join(folder, `wrong${index}.ts`));
  for (const [index, [name, right, wrong]] of MISTAKES.entries()) {
    assert.ok(source.includes(right), name);
    await write(`wrong${index}.ts`, source.replace(right, wrong));
  }
  const said = await compile(...STRICT, "--noEmit", ...files);
  for (const [index, [name, , , what]] of MISTAKES.entries()) {
    const lines = said.split(/\n(?=\S)/).filter((line) => line.includes(`wrong${index}.ts(`));
    assert.match(lines.join("\n"), what, `${name}:\n${lines.join("\n")}`);
  }
});

test("the types of the console's documents are those of the schema", async () => {
  const stale = "web/operations.d.ts is not what `node tests/clients/codegen.mjs` writes";
  assert.equal(await readFile(CONSOLE_TYPES, "utf8"), await consoleTypes(), stale);
});

test("the console uses its documents as they are typed", async () => {
  assert.equal(await compile("--project", path.join(HERE, "tsconfig.console.json")), "");
});
