/**
 * graphql-codegen as a project of its users runs it: a schema and documents in, typed documents
 * out. Run as a program it writes `web/operations.d.ts`, the types of the console's documents.
 */

import { codegen } from "@graphql-codegen/core";
import { preset } from "@graphql-codegen/client-preset";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { buildASTSchema, parse } from "graphql";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
export const CONSOLE_TYPES = fileURLToPath(new URL("web/operations.d.ts", ROOT));

/** What the broker's scalars are in results: JSON as it was published, the others are strings. */
const CONFIG = {
  scalars: { DateTime: "string", Cursor: "string", JSON: "any", URL: "string" },
  strictScalars: false,
  useTypeImports: true,
};

/**
 * Writes what the client preset generates into a folder.
 *
 * @param {string} sdl
 * @param {Record<string, string>} programs sources with documents in calls of `graphql`, by name
 * @param {string} folder
 */
export async function generateClient(sdl, programs, folder) {
  const schema = parse(sdl);
  const documents = Object.entries(programs).flatMap(([location, source]) =>
    [...source.matchAll(/graphql\(`([^`]*)`\)/g)].map(([, rawSDL]) =>
      ({ location, rawSDL, document: parse(rawSDL) })));
  const sections = await preset.buildGeneratesSection({
    baseOutputDir: `${folder}/`, schema, schemaAst: buildASTSchema(schema), documents,
    config: { ...CONFIG, importExtension: ".js" }, presetConfig: {},
    plugins: [], pluginMap: {}, pluginContext: {},
    profiler: { run: (work) => work() },
  });
  await mkdir(folder, { recursive: true });
  for (const section of sections) await writeFile(section.filename, await codegen(section));
}

/** The types of the console's documents. */
export async function consoleTypes() {
  const schema = parse(await readFile(new URL("schema/tidings.graphql", ROOT), "utf8"));
  const operations = Object.entries(await import(new URL("web/operations.js", ROOT)));
  const documents = operations.map(([location, text]) => ({ location, document: parse(text) }));
  const types = await codegen({
    filename: path.basename(CONSOLE_TYPES), schema, schemaAst: buildASTSchema(schema), documents,
    config: { ...CONFIG }, plugins: [{ operations: {} }],
    pluginMap: { operations: typescriptOperations },
  });
  const constants = documents.map(({ location, document }) => {
    const { name: { value: name }, operation } = document.definitions[0];
    const type = name + operation[0].toUpperCase() + operation.slice(1);
    return `export const ${location}: TypedDocument<${type}, ${type}Variables>;\n`;
  });
  return `${HEAD}\n${types.trim()}\n\n${constants.join("")}`;
}

const HEAD = `// Generated from operations.js and the schema: \`node tests/clients/codegen.mjs\`

/** A document as text that knows what it answers with, and what variables it takes. */
export type TypedDocument<Data, Variables> = string & {
  __apiType?: (variables: Variables) => Data;
};
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(CONSOLE_TYPES, await consoleTypes());
}
