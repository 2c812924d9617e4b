/** What every subject of the benchmark needs: a server, a client for it, the programs, a folder, and the sizes. */

import { readFileSync } from "node:fs";
import { MongoClient } from "mongodb";
import { tempDir } from "../../test/support/temp.ts";
import { startReplicaSet } from "../mongod.ts";
import { gatherPrograms, type ProgramOptions, type Programs } from "./programs.ts";

export interface Sizes {
  /** Of the typical collection; the others follow it. */
  readonly documents: number;
  readonly rounds: number;
  readonly shapes: readonly string[];
  /** Insert events of the tail. */
  readonly events: number;
  /** How long writes are timed, in each round. */
  readonly latencySeconds: number;
  /** Sizes of the growing collection. */
  readonly growth: readonly number[];
  /** Prefixes of the names of contestants to leave out. */
  readonly without: readonly string[];
}

export interface BenchContext extends Sizes, AsyncDisposable {
  readonly uri: string;
  readonly client: MongoClient;
  readonly programs: Programs;
  /** For output, which is removed after each run. */
  readonly folder: string;
  readonly serverVersion: string;
  /** User and system time of the server since its start. */
  serverCpuSeconds(): number;
  /** Prints progress on standard error. */
  log(line: string): void;
}

export interface ContextOptions extends Sizes, ProgramOptions {
  readonly cacheGB: number;
}

/** Builds the programs and starts the server. Disposing it stops the server and removes all files. */
export async function openContext(options: ContextOptions): Promise<BenchContext> {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await tempDir());
  const log = (line: string): void => console.error(line);
  log("building");
  const programs = await gatherPrograms(folder.path, options);
  log("starting a server");
  const set = opened.use(await startReplicaSet({ members: 1, cacheGB: options.cacheGB }));
  const client = opened.use(new MongoClient(set.uri));
  const all = opened.move();
  return {
    ...options,
    uri: set.uri,
    client,
    programs,
    folder: folder.path,
    serverVersion: set.version,
    serverCpuSeconds: () => cpuSecondsOf(set.members[0].pid),
    log,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Ticks of the kernel in a second: the same on every Linux that Bun runs on. */
const TICKS = 100;

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name is in parentheses and may contain spaces. User and system time are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}
