/** The generated parts of the documentation: the text between `<!-- name -->` and `<!-- /name -->`. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { interfaceTable } from "./interfaces.ts";
import { commandTable, exitCodeTable, optionTable } from "./tables.ts";

export const ROOT = join(import.meta.dirname, "../..");

/** By document and block: the function that generates its text. */
export const GENERATED: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  "README.md": {
    commands: commandTable,
    options: optionTable,
    "exit codes": exitCodeTable,
    recipe: () => fenced("js", readFileSync(join(ROOT, "test/npm/recipe.mjs"), "utf8")),
  },
  "docs/testing.md": {
    "code under test": () => fenced("js", readFileSync(join(ROOT, "test/npm/shop.mjs"), "utf8")),
    "options of startReplicaSet": () => interfaceTable(ROOT, "npm/testing.ts", "ReplicaSetOptions"),
    "options of recordChanges": () => interfaceTable(ROOT, "npm/recorder.ts", "RecordOptions"),
  },
};

/** The text of a document with all its blocks as they must be. @throws where a block has no place in it */
export function refresh(path: string, text: string): string {
  let fresh = text;
  for (const [name, make] of Object.entries(GENERATED[path] ?? {})) fresh = withBlock(path, fresh, name, make());
  return fresh;
}

export function withBlock(path: string, text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const begin = text.indexOf(open);
  const end = text.indexOf(close);
  if (begin < 0 || end < begin) throw new Error(`${path} has no place for the block ${name}`);
  return `${text.slice(0, begin + open.length)}${content}\n${text.slice(end)}`;
}

/** The text of a block in a document. */
export function blockIn(path: string, name: string): string {
  const text = readFileSync(join(ROOT, path), "utf8");
  return text.split(`<!-- ${name} -->\n`, 2)[1]?.split(`<!-- /${name} -->`, 1)[0] ?? "";
}

function fenced(language: string, content: string): string {
  return `\`\`\`${language}\n${content.trim()}\n\`\`\``;
}
