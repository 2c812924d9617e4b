/**
 * Builds `dist/mongotap` for this machine and tests it. With `--all` it also builds `dist/mongotap-<system>-<processor>` for
 * every supported platform and checks the format of each.
 */

import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { baseBinary } from "./build/base.ts";
import { bundle } from "./build/bundle.ts";
import { smokeTest } from "./build/smoke.ts";
import { TARGETS, formatOf } from "./build/targets.ts";

const ROOT = join(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");

const { version, dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  dependencies: Record<string, string>;
};
const common = { root: ROOT, dependencies: Object.keys(dependencies) };

async function buildHere(): Promise<void> {
  const outfile = join(DIST, process.platform === "win32" ? "mongotap.exe" : "mongotap");
  await bundle({ ...common, outfile });
  const { startMs, memoryMB } = await smokeTest(outfile, version);
  report("mongotap", outfile, `--help: ${startMs.toFixed(1)} ms, ${memoryMB.toFixed(0)} MB`);
}

async function buildAll(): Promise<void> {
  for (const target of TARGETS) {
    const name = `mongotap-${target.name}${target.format.container === "PE" ? ".exe" : ""}`;
    const outfile = join(DIST, name);
    await bundle({ ...common, outfile, target, executablePath: baseBinary(ROOT, target.base) });
    const format = formatOf(outfile);
    if (!isDeepStrictEqual(format, target.format)) throw new Error(`${name} is ${Object.values(format).join(" ")}`);
    report(name, outfile, Object.values(format).join(" "));
  }
}

function report(name: string, path: string, remark: string): void {
  console.log(`${name.padEnd(28)} ${(statSync(path).size / 1e6).toFixed(0).padStart(4)} MB  ${remark}`);
}

const { values } = parseArgs({ options: { all: { type: "boolean", default: false } } });
try {
  mkdirSync(DIST, { recursive: true });
  await buildHere();
  if (values.all) await buildAll();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
