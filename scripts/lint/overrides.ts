/** The rows of layers.ts as overrides of oxlint's rule no-restricted-imports. */

import { posix } from "node:path";
import { LAYERS, type Layer, isPath } from "./layers.ts";

interface Override {
  readonly files: readonly string[];
  readonly allowed: readonly string[];
  readonly message: string;
}

/** They reach the process as the global does; the rest of node: is free. */
const PROCESS_MODULES = ["node:process", "node:console", "node:module"];

/**
 * An import pattern matches the text of the import ("../lib/async.ts"), which depends on the folder of the importing file.
 * So there is one override for each folder of a layer.
 */
function overridesOf(layer: Layer): Override[] {
  const byFolder = Map.groupBy(layer.files, (entry) => entry.slice(0, entry.lastIndexOf("/") + 1));
  return [...byFolder.entries()].map(([folder, files]) => ({
    files: files.map((entry) => (entry.endsWith("/") ? `src/${entry}**` : `src/${entry}`)),
    allowed: [
      ...nodeModules(layer),
      ...(folder !== "" && layer.node !== "none" ? ["!./**"] : []),
      ...allowedFrom(layer, folder),
    ],
    message: messageOf(layer),
  }));
}

function nodeModules({ node }: Layer): string[] {
  if (node === "none") return [];
  return ["!node:*", "!node:*/*", ...(node === "all" ? [] : PROCESS_MODULES)];
}

function allowedFrom({ files, imports, types = [], node }: Layer, folder: string): string[] {
  const own = folder === "" && node !== "none" ? files : []; // files at the top of src/ have no folder of their own
  return [...own, ...imports, ...types].map((entry) => {
    if (!isPath(entry)) return `!${entry}`;
    const path = posix.relative(`/src/${folder}`, posix.join("/src", entry));
    return `!${path.startsWith("..") ? path : `./${path}`}${entry.endsWith("/") ? "/**" : ""}`;
  });
}

function messageOf({ files, imports, types = [], why }: Layer): string {
  const list = [...imports, ...types.map((entry) => `types of ${entry}`)].join(", ");
  return `${files.join(", ")} may import ${list === "" ? "nothing" : list}: ${why}.`;
}

const BEGIN = "// Written by scripts/lint.ts from the table in scripts/lint/layers.ts:";
const END = "// The end of what scripts/lint.ts writes.";

/** The text of .oxlintrc.json with the overrides of LAYERS between its two marks. Throws if it has no marks. */
export function withLayers(config: string): string {
  const begin = config.indexOf(BEGIN);
  const end = config.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`.oxlintrc.json has no lines "${BEGIN}" and "${END}"`);
  return `${config.slice(0, begin)}${BEGIN}\n    ${textOfOverrides()}\n    ${config.slice(end)}`;
}

function textOfOverrides(): string {
  return LAYERS.flatMap(overridesOf)
    .map(({ files, allowed, message }) =>
      [
        `{ "files": ${listOf(files)}, "rules": { "no-restricted-imports": ["error", { "patterns": [{`,
        `  "group": ${listOf(["*", ...allowed])},`,
        `  "message": ${JSON.stringify(message)} }] }] } }`,
      ].join("\n    "),
    )
    .join(",\n    ");
}

function listOf(items: readonly string[]): string {
  return `[${items.map((item) => JSON.stringify(item)).join(", ")}]`;
}
