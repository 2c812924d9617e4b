/** The size of the machine and the versions of the programs, without anything that identifies the machine. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { Machine } from "./results.ts";
import type { BenchContext } from "./context.ts";

export function machineOf({ serverVersion, programs }: BenchContext): Machine {
  const { mongotap, mongodump, mongoexport } = programs;
  const driver = join(import.meta.dirname, "../../node_modules/mongodb/package.json");
  const { version } = JSON.parse(readFileSync(driver, "utf8")) as { version: string };
  const versions: Record<string, string> = {
    mongotap: versionOf(mongotap),
    mongod: serverVersion,
    Bun: Bun.version,
    "the driver": version,
  };
  if (mongodump !== undefined) versions["mongodump"] = versionOf(mongodump);
  if (mongoexport !== undefined) versions["mongoexport"] = versionOf(mongoexport);
  return { cores: availableParallelism(), memoryGB: Math.round(totalmem() / 2 ** 30), versions };
}

/** The first word of the output of `--version` that looks like a version. */
function versionOf(program: string): string {
  const said = execFileSync(program, ["--version"], { encoding: "utf8" });
  return /\b(\d+\.\d+[\w.-]*)/.exec(said)?.[1] ?? "built from source";
}
