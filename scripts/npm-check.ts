/**
 * Installs the npm packages of dist/npm as users do, from a registry of its own: `bun scripts/npm-check.ts [word…]`. Needs the
 * npm registry for the tools, and a mongod. Runs all checks, or those whose name contains one of the words, prints a line for each,
 * and exits with 1 if one failed. The packages of other platforms are published with a placeholder for their binary, unless
 * `npm.ts --all` has written them.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardFolder } from "../npm/mongod/watchdog.ts";
import { findMongod } from "./mongod.ts";
import { type Check, CHECKS, type Place } from "./npm/checks.ts";
import { publishAll } from "./npm/publish.ts";
import { installTools, startRegistry } from "./npm/registry.ts";

const ROOT = join(import.meta.dirname, "..");

async function main(words: readonly string[]): Promise<number> {
  const checks = Object.entries(CHECKS).filter(
    ([name]) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (checks.length === 0) throw new Error(`no check has a name with ${words.join(" or ")}`);
  const tools = installTools(join(ROOT, ".cache/npm-check"));
  const folder = mkdtempSync(join(tmpdir(), "mongotap-npm-"));
  const release = guardFolder(folder);
  try {
    const mongod = await findMongod();
    await using registry = await startRegistry(tools, join(folder, "registry"));
    const env = { ...process.env, ...mongod.env, ...registry.env, MONGOTAP_MONGOD: mongod.path, NO_COLOR: "1" };
    publishAll({ root: ROOT, env, scratch: join(folder, "placeholders") });
    return runChecks(checks, { root: ROOT, tools, env, folder: join(folder, "projects") });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    release();
  }
}

function runChecks(checks: readonly (readonly [name: string, check: Check])[], place: Place): number {
  let failed = 0;
  for (const [name, check] of checks) {
    const started = performance.now();
    try {
      check({ ...place, folder: join(place.folder, name.replaceAll(/\W+/g, "-")) });
      console.log(`ok      ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
