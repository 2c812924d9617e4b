/**
 * Writes the table of layers (scripts/lint/layers.ts) into .oxlintrc.json: `bun scripts/lint.ts [--check]`. With --check it
 * writes nothing and exits with 1 if the file is not up to date.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { withLayers } from "./lint/overrides.ts";

const CONFIG = join(import.meta.dirname, "../.oxlintrc.json");

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const before = readFileSync(CONFIG, "utf8");
const after = withLayers(before);
if (before === after) console.log(".oxlintrc.json is up to date");
else if (values.check) {
  console.log(".oxlintrc.json differs from scripts/lint/layers.ts: run bun scripts/lint.ts");
  process.exitCode = 1;
} else {
  writeFileSync(CONFIG, after);
  console.log(".oxlintrc.json is written");
}
