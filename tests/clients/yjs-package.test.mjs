/** @tidings/yjs as its users get it: what is committed, what it exports, what its README says. */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { finallyDo, startBroker } from "./broker.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../web/yjs", import.meta.url));
const TSC = path.join(HERE, "node_modules/typescript/bin/tsc");
const PEERS = ["graphql", "graphql-ws", "lib0", "y-protocols", "yjs"];

/** What the compiler says; nothing when all is well. */
async function compile(...flags) {
  const run = promisify(execFile)(process.execPath, [TSC, ...flags]);
  return (await run.catch((failed) => failed)).stdout;
}

async function temporaryFolder(t) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidings-yjs-"));
  finallyDo(t, () => rm(folder, { recursive: true }), { last: true });
  return folder;
}

/** The files of a folder with their text. */
async function filesOf(folder) {
  const names = (await readdir(folder)).sort();
  const texts = names.map(async (name) => [name, await readFile(path.join(folder, name), "utf8")]);
  return Object.fromEntries(await Promise.all(texts));
}

/** A project of a user: the package as npm packs it, its peers, and the example of the README. */
async function startProject(t) {
  const folder = await temporaryFolder(t);
  const modules = path.join(folder, "node_modules");
  const installed = path.join(modules, "@tidings/yjs");
  await mkdir(installed, { recursive: true });
  const { files } = JSON.parse(await readFile(path.join(PACKAGE, "package.json"), "utf8"));
  for (const name of ["package.json", ...files]) {
    await cp(path.join(PACKAGE, name), path.join(installed, name), { recursive: true });
  }
  for (const name of PEERS) {
    await symlink(path.join(HERE, "node_modules", name), path.join(modules, name));
  }
  await writeFile(path.join(folder, "package.json"), '{ "type": "module" }');
  const readme = await readFile(path.join(PACKAGE, "README.md"), "utf8");
  return { folder, example: readme.match(/```js\n([^]*?)```/)[1] };
}

test("what is committed is what the compiler makes of the sources, without a word", async (t) => {
  const folder = await temporaryFolder(t);
  const project = path.join(HERE, "tsconfig.yjs.json");
  assert.equal(await compile("--project", project, "--outDir", folder), "");
  assert.deepEqual(await filesOf(path.join(PACKAGE, "dist")), await filesOf(folder),
    "web/yjs/dist is not what its README says how to build");
});

test("the example in the README compiles, and does what it says", async (t) => {
  const broker = await startBroker(t);
  const { folder, example } = await startProject(t);
  const address = "ws://127.0.0.1:4000/graphql";
  assert.ok(example.includes(address));
  const program = path.join(folder, "example.ts");
  await writeFile(program, example.replace(address, broker.ws));
  assert.equal(await compile("--strict", "--target", "es2022", "--module", "nodenext", "--lib",
    "es2022,dom", "--types", "", program), "");
  // As a browser has it, and Node from 22 on.
  const socket = path.join(folder, "socket.mjs");
  const ws = JSON.stringify(path.join(HERE, "node_modules/ws/wrapper.mjs"));
  await writeFile(socket, `import ws from ${ws};\nglobalThis.WebSocket = ws;\n`);
  const flags = ["--import", socket, program.replace(/ts$/, "js")];
  const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
  finallyDo(t, async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  const lines = [];
  for await (const line of readline.createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith("Hello")) break;
  }
  assert.deepEqual(lines, ["connected", "Hello.  1"]);
});
