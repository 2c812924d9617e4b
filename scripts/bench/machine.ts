/** On what was measured: the size of the machine and the versions of the programs, and nothing that names it. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { Machine } from "./results.ts";
import type { World } from "./world.ts";

export function machineOf({ serverVersion, programs }: World): Machine {
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

/** What a program says after `--version`: the first word that looks like one. */
function versionOf(program: string): string {
  const said = execFileSync(program, ["--version"], { encoding: "utf8" });
  return /\b(\d+\.\d+[\w.-]*)/.exec(said)?.[1] ?? "built from source";
}
