/** Checks a commit in a minute, without a server: `bun scripts/ok.ts [--static]`, which runs no tests. Runs all steps and exits 1 if one failed. */

import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dirname, "..");

const STEPS = [
  { name: "format", command: "oxfmt --check", remedy: "npm run format" },
  { name: "lint", command: "oxlint", remedy: "see the messages above" },
  { name: "types", command: "tsc --noEmit", remedy: "see the messages above" },
  { name: "types of the kernel", command: "tsc -p wasm", remedy: "see the messages above" },
  {
    name: "types of the npm package",
    command: "tsc -p npm",
    remedy: "it must run on Node.js 20: see the messages above",
  },
  { name: "types under deno", command: "deno check src/main.ts", remedy: "see the messages above" },
  { name: "dead code", command: "knip --no-progress", remedy: "remove it, or use it" },
  { name: "kernel", command: "bun scripts/build-kernel.ts --verify", remedy: "npm run kernel" },
  { name: "unit tests", command: "bun scripts/test.ts --unit", remedy: "see the messages above" },
] as const;

const env = { ...process.env, PATH: `${ROOT}/node_modules/.bin${delimiter}${process.env["PATH"] ?? ""}` };
const failed: string[] = [];
const { values } = parseArgs({ options: { static: { type: "boolean", default: false } } });
for (const { name, command, remedy } of STEPS) {
  if (values.static && name === "unit tests") continue;
  const started = performance.now();
  console.log(`── ${name}: ${command}`);
  const { status } = spawnSync(command, { cwd: ROOT, env, shell: true, stdio: "inherit" });
  if (status !== 0) failed.push(`${name} (${remedy})`);
  console.log(
    `── ${name}: ${status === 0 ? "ok" : "FAILED"} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
}
console.log(failed.length === 0 ? "ok" : `not ok: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
