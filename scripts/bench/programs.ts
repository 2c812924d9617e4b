/** Finds or builds the programs to measure. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Debezium, buildDebezium } from "./debezium.ts";
import { buildHere } from "../build/binaries.ts";
import { programOf } from "../build/bundle.ts";
import { revisionOf } from "../build/revision.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface Programs {
  readonly mongotap: string;
  /** mongotap from its source; absent where another binary is measured. */
  readonly source: readonly string[] | undefined;
  /** See client.ts. */
  readonly client: string;
  /** Absent if there is none. */
  readonly mongodump: string | undefined;
  readonly mongoexport: string | undefined;
  readonly debezium: Debezium | undefined;
}

export interface ProgramOptions {
  /** A mongotap to measure instead of the one built of this source. */
  readonly mongotap: string | undefined;
  readonly withDebezium: boolean;
}

/** Builds what is ours into `folder`, or takes the mongotap at hand, and finds the rest. */
export async function gatherPrograms(
  folder: string,
  { mongotap: binary, withDebezium }: ProgramOptions,
): Promise<Programs> {
  return {
    mongotap: binary ?? (await buildMongotap(join(folder, "mongotap"))),
    source: binary === undefined ? [process.execPath, join(ROOT, "src/main.ts")] : undefined,
    client: await buildClient(join(folder, "client")),
    mongodump: found("mongodump"),
    mongoexport: found("mongoexport"),
    debezium: withDebezium && Bun.which("java") && Bun.which("mvn") ? await buildDebezium(folder) : undefined,
  };
}

/** Built from the current source: an existing binary could be older. */
async function buildMongotap(outfile: string): Promise<string> {
  return (await buildHere(await programOf(ROOT), revisionOf(ROOT).commit, outfile)).path;
}

async function buildClient(outfile: string): Promise<string> {
  const built = await Bun.build({
    entrypoints: [fileURLToPath(new URL("./client.ts", import.meta.url))],
    target: "bun",
    format: "esm",
    bytecode: true,
    minify: { whitespace: true, syntax: true },
    compile: { outfile },
    throw: false,
  });
  if (!built.success) throw new Error(built.logs.map(String).join("\n"));
  return outfile;
}

/** By the variable of that name in capitals, else on PATH. */
function found(name: string): string | undefined {
  return process.env[name.toUpperCase()] ?? Bun.which(name) ?? undefined;
}

/** The programs that cannot be measured, and what they need. */
export function absentFrom({ mongodump, mongoexport, debezium }: Programs): string[] {
  const tools = Object.entries({ mongodump, mongoexport }).filter(([, path]) => path === undefined);
  const absent = tools.map(([name]) => `${name}: neither on PATH nor in ${name.toUpperCase()}`);
  return debezium === undefined ? [...absent, "Debezium: needs java and mvn, and is not part of a quick run"] : absent;
}
