/** The lint rules that the architecture rests on, each seen to find a planted fault: a glob that matches nothing is silent. */

import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { withLayers } from "../../scripts/lint/overrides.ts";

const ROOT = join(import.meta.dirname, "../..");
const IMPORTS = "eslint(no-restricted-imports)";
const GLOBALS = "eslint(no-restricted-globals)";

/** File, its text, and the rules that must find something in it; no rule: it must pass. */
const FILES: readonly (readonly [path: string, text: string, ...rules: string[]])[] = [
  ["src/errors.ts", `export class Failure extends Error {}`],
  ["src/lib/one.ts", `import { two } from "./two.ts";\nexport const one = (): number => two();`, "import(no-cycle)"],
  ["src/lib/two.ts", `import { one } from "./one.ts";\nexport const two = (): number => one();`, "import(no-cycle)"],
  [
    "src/lib/three.ts",
    `import type { Four } from "./four.ts";\nexport interface Three { four?: Four }`,
    "import(no-cycle)",
  ],
  [
    "src/lib/four.ts",
    `import type { Three } from "./three.ts";\nexport interface Four { three?: Three }`,
    "import(no-cycle)",
  ],
  ["src/lib/up.ts", `export { plain } from "../codec/plain.ts";`, IMPORTS],
  ["src/lib/fine.ts", `export { Failure } from "../errors.ts";\nexport { readFile } from "node:fs/promises";`],
  ["src/codec/plain.ts", `export const plain = 1;`],
  ["src/codec/type.ts", `export type { Sink } from "../sink/sink.ts";`, IMPORTS],
  ["src/codec/lazy.ts", `export const lazy = (): unknown => import("../sink/sink.ts");`, IMPORTS],
  ["src/source/record.ts", `import "node:fs";\nexport type Position = string;`, IMPORTS],
  ["src/source/driver.ts", `export { MongoClient } from "mongodb";`],
  ["src/sink/sink.ts", `export interface Sink { end(): void }\nexport const sink = 1;`],
  ["src/sink/protocol.ts", `export type { Protocol } from "../protocol/protocol.ts";`, IMPORTS],
  [
    "src/protocol/protocol.ts",
    `export type { Position } from "../source/record.ts";\nexport interface Protocol { a: 1 }`,
  ],
  ["src/protocol/driver.ts", `export type { Document } from "mongodb";`, IMPORTS],
  ["src/pipeline/types.ts", `export type { Sink } from "../sink/sink.ts";`],
  ["src/pipeline/driver.ts", `export { MongoClient } from "mongodb";`, IMPORTS],
  ["src/state/checkpoint.ts", `export { string } from "valibot";`],
  ["src/state/lock.ts", `export { string } from "valibot";`, IMPORTS],
  ["src/config/options/fine.ts", `export { url } from "../value-schemas.ts";\nexport { long } from "../setting.ts";`],
  ["src/config/options/long.ts", `export const long = 1;${"\n".repeat(400)}//`],
  ["src/config/options/sibling.ts", `export { long } from "./long.ts";`, IMPORTS],
  ["src/config/options/up.ts", `export { sink } from "../../sink/sink.ts";`, IMPORTS],
  ["src/config/setting.ts", `export { long } from "./options/long.ts";`],
  ["src/config/value-schemas.ts", `export const url = 1;`],
  ["src/config/cac.ts", `export { cac } from "cac";`, IMPORTS],
  ["src/discover/driver.ts", `export type { Document } from "mongodb";`, IMPORTS],
  ["src/discover/yaml.ts", `export { stringify } from "yaml";`],
  ["src/observe/log.ts", `export { default as colors } from "picocolors";`],
  ["src/commands/tail.ts", `export { MongoClient } from "mongodb";`, IMPORTS],
  ["src/commands/shared.ts", `export { copy } from "../run/copy.ts";`],
  ["src/run/copy.ts", `export const copy = 1;\nexport { sink } from "../sink/sink.ts";`],
  ["src/run/up.ts", `export { tail } from "../commands/plain.ts";`, IMPORTS],
  ["src/run/help.ts", `export { help } from "../help.ts";`, IMPORTS],
  ["src/run/check.ts", `export { check } from "../check/check.ts";`, IMPORTS],
  ["src/pipeline/run.ts", `export { copy } from "../run/copy.ts";`, IMPORTS],
  ["src/commands/plain.ts", `export const tail = 1;`],
  ["src/check/check.ts", `export const check = 1;`],
  ["src/commands/argv.ts", `export { argv } from "node:process";`, IMPORTS],
  ["src/cli.ts", `export const tail = (): unknown => import("./commands/tail.ts");`],
  ["src/flags.ts", `export { cac } from "cac";`, IMPORTS],
  ["src/help.ts", `export { cac } from "cac";\nexport const help = 1;`],
  ["src/main.ts", `export const pid = process.pid;`],
  ["src/lib/process.ts", `export const pid = process.pid;`, GLOBALS],
  ["src/lib/global.ts", `export const pid = globalThis.process.pid;`, GLOBALS],
  ["src/lib/bun.ts", `export const hash = Bun.hash("");`, GLOBALS],
  ["src/lib/print.ts", `console.log(1);\nexport {};`, GLOBALS, "eslint(no-console)"],
  ["src/lib/fs.ts", `export { readFileSync } from "fs";`, IMPORTS, "unicorn(prefer-node-protocol)"],
  ["src/lib/extension.ts", `export { one } from "./one";`, "import(extensions)"],
  ["src/lib/any.ts", `export const any = (value: any): boolean => value === 1;`, "typescript(no-explicit-any)"],
  ["src/lib/json.ts", `export const json = (): number => JSON.parse("1");`, "typescript(no-unsafe-return)"],
  [
    "src/lib/bang.ts",
    `export const bang = (value?: { a: 1 }): number => value!.a;`,
    "typescript(no-non-null-assertion)",
  ],
  [
    "src/lib/type.ts",
    `import { Failure } from "../errors.ts";\nexport type A = Failure;`,
    "typescript(consistent-type-imports)",
  ],
  ["src/lib/float.ts", `export function float(): void {\n  Promise.resolve(1);\n}`, "typescript(no-floating-promises)"],
  [
    "src/lib/swallow.ts",
    `export function swallow(): void {\n  try {\n    JSON.parse("");\n  } catch {}\n}`,
    "eslint(no-empty)",
  ],
  ["src/lib/long.ts", `export {};${"\n".repeat(400)}//`, "eslint(max-lines)"],
  [
    "src/lib/function.ts",
    `export function long(): void {\n${"  JSON.parse('');\n".repeat(60)}}`,
    "eslint(max-lines-per-function)",
  ],
];

/** `path: rule` for every finding of the linter in a folder that holds FILES and the project's own configuration. */
function lintPlanted(): string[] {
  const folder = mkdtempSync(join(tmpdir(), "mongotap-lint-"));
  try {
    for (const name of [".oxlintrc.json", "tsconfig.json", "package.json"])
      copyFileSync(join(ROOT, name), join(folder, name));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    for (const [path, text] of FILES) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
    return oxlint(folder).map(({ filename, code }) => `${filename}: ${code}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function oxlint(folder: string): { filename: string; code: string }[] {
  try {
    execFileSync(join(ROOT, "node_modules/.bin/oxlint"), ["-f", "json", "src"], { cwd: folder, encoding: "utf8" });
  } catch (error) {
    const report = (error as { stdout: string }).stdout;
    return (JSON.parse(report) as { diagnostics: { filename: string; code: string }[] }).diagnostics;
  }
  throw new Error("the linter found nothing");
}

test("the linter finds every planted fault, and nothing where there is none", () => {
  const expected = FILES.flatMap(([path, , ...rules]) => rules.map((rule) => `${path}: ${rule}`));
  expect([...new Set(lintPlanted())].toSorted()).toEqual(expected.toSorted());
});

test(".oxlintrc.json has the overrides that scripts/lint/layers.ts makes", () => {
  const config = readFileSync(join(ROOT, ".oxlintrc.json"), "utf8");
  expect(withLayers(config)).toBe(config);
});
