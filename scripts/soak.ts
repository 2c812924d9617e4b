/**
 * Injects faults on all sides for a chosen time: `bun scripts/soak.ts --minutes 30 --seed 1`. Members of a replica set of
 * three, behind proxies, step down or are killed, suspended and disconnected; collections are dropped, renamed and replaced;
 * the history is lost; captures are killed, stopped and suspended; and writers write. After each round the output is judged
 * (soak/judge.ts). Exits 1 if a promise broke.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { BSON, type Db, MongoClient } from "mongodb";

import { patchDriver } from "../src/connect/driver-patches.ts";
import { Random, seedFrom } from "./lib/random.ts";
import { type ReplicaSet, startReplicaSet } from "./mongod.ts";
import { type CollectionFaults, injectCollectionFault } from "./soak/collection-faults.ts";
import { Follower } from "./soak/follower.ts";
import { judge, KINDS, type Verdict } from "./soak/judge.ts";
import { readOutput } from "./soak/lines.ts";
import { loseHistory, OPLOG_MB } from "./soak/lost-history.ts";
import { type FaultCounts, injectServerFault, Network } from "./soak/server-faults.ts";
import { Tap } from "./soak/tap.ts";
import { proofOf } from "./soak/truth.ts";
import { startWriters, type Writers } from "./soak/writers.ts";

const DB = "soak";
const WRITTEN = ["orders", "items", "report"] as const;
/** What one of the captures reads by name; the other one reads the whole database. */
const NAMED = ["orders", "items"] as const;
/** The server's own, under which it builds what $out writes. */
const TEMPORARY = `${DB}.tmp.agg_out.`;

interface Options {
  readonly minutes: number;
  /** How long faults are injected before the output is judged. */
  readonly roundMs: number;
  readonly seed: number;
  readonly command: readonly string[];
}

interface SoakRun {
  readonly options: Options;
  readonly set: ReplicaSet;
  readonly network: Network;
  readonly client: MongoClient;
  readonly follower: Follower;
  readonly writers: Writers;
  readonly taps: readonly Tap[];
  readonly randomFor: (name: string) => Random;
  readonly faults: FaultCounts;
  /** Cluster times at which a server had been started again. */
  readonly restarts: string[];
  readonly totals: Record<string, number>;
}

async function main(): Promise<number> {
  // A write to a connection that closes may otherwise never return (docs/decisions/209-driver-patches.md).
  patchDriver();
  const options = readOptions();
  log(`${options.minutes} minutes, seed ${options.seed}, ${options.command.join(" ")}`);
  const folder = await mkdtemp(join(tmpdir(), "mongotap-soak-"));
  await using network = new Network();
  await using set = await startReplicaSet({
    members: 3,
    advertise: network.advertise,
    oplogSizeMB: OPLOG_MB,
    syncdelay: 5,
  });
  await using follower = new Follower(set, DB);
  const randomFor = (name: string): Random => Random.for(options.seed, name);
  const client = new MongoClient(set.uri, {
    retryWrites: true,
    writeConcern: { w: "majority" },
    serverSelectionTimeoutMS: 60_000,
  });
  const writers = startWriters(client, client.db(DB), WRITTEN, randomFor);
  const taps = tapsOf(options, set.uri, folder, randomFor);
  const rest = { faults: {}, restarts: [], totals: {} };
  let exitCode = 1;
  try {
    await pause(5_000); // something to copy
    exitCode = await soak({ options, set, network, client, follower, writers, taps, randomFor, ...rest });
  } finally {
    for (const tap of taps) await tap.stop();
    await writers.stop();
    await client.close();
    if (exitCode === 0) await rm(folder, { recursive: true, force: true });
    else log(`the outputs and states are in ${folder}`);
  }
  return exitCode;
}

/** One of the whole database, into a file for each collection; one of two collections by name, into one file. */
function tapsOf({ command }: Options, uri: string, folder: string, randomFor: SoakRun["randomFor"]): Tap[] {
  const tapOf = (
    name: string,
    out: string,
    args: readonly string[],
    rest: Pick<Tap["options"], "isBound" | "expected">,
  ): Tap => {
    const state = join(folder, `${name}.state`);
    const all = ["capture", ...args, "--uri", uri, "--out", out, "--state", state];
    return new Tap({
      name,
      command,
      args: all,
      out: out.replace(/\/$/, ""),
      state,
      random: randomFor(name),
      log,
      ...rest,
    });
  };
  return [
    tapOf("whole", `${join(folder, "whole")}/`, [DB], {
      isBound: (name) => name.startsWith(`${DB}.`) && !name.startsWith(TEMPORARY),
      expected: [],
    }),
    tapOf(
      "named",
      join(folder, "named.ndjson"),
      [...NAMED.map((name) => `${DB}.${name}`), "--allow-missing", "--envelope", "change", "--on-history-lost", "now"],
      { isBound: (name) => NAMED.some((one) => name === `${DB}.${one}`), expected: ["7"] },
    ),
  ];
}

async function soak(run: SoakRun): Promise<number> {
  const { options, taps, faults, totals } = run;
  const end = Date.now() + options.minutes * 60_000;
  let failed = 0;
  for (const tap of taps) tap.start();
  for (const tap of taps) await tap.pinned();
  for (let round = 1; Date.now() < end && failed === 0; round += 1) {
    const roundEnd = Math.min(end, Date.now() + options.roundMs);
    await Promise.all([
      injectFaults(run, roundEnd),
      injectCollectionFaults(run, roundEnd),
      ...taps.map((tap) => injectTapFaults(tap, roundEnd)),
    ]);
    failed += await judgeRound(run, round);
  }
  const unexpected = taps.flatMap((tap) => tap.unexpected);
  for (const text of unexpected) log(`UNEXPECTED ${text}`);
  failed += unexpected.length;
  log(`faults: ${summaryOf(faults)}`);
  for (const {
    options: { name },
    counts,
  } of taps) {
    const { starts, kills, terms, pauses, ends } = counts;
    const texts = summaryOf(Object.fromEntries(ends));
    log(`${name}: ${starts} starts, ${kills} kills, ${terms} stops, ${pauses} suspensions; exit codes: ${texts}`);
  }
  log(KINDS.map((kind) => `${totals[kind] ?? 0} ${kind}`).join(", "));
  log(failed === 0 ? "every promise held" : `${failed} FAILED`);
  return failed === 0 ? 0 : 1;
}

async function injectTapFaults(tap: Tap, end: number): Promise<void> {
  while (Date.now() < end) {
    await pause(tap.random.between(300, 9000));
    await tap.injectFault();
  }
}

/** Faults of servers and network; once in each round the history is lost. */
async function injectFaults(run: SoakRun, end: number): Promise<void> {
  const { set, network, faults, restarts } = run;
  const random = run.randomFor(`faults of the servers ${end}`);
  let losesIn = random.whole(6);
  while (Date.now() < end) {
    await pause(random.between(1000, 7000));
    if (losesIn === 0) await injectLoss(run, random);
    else if ((await injectServerFault(set, network, random, faults)) === "kill") restarts.push(now());
    losesIn -= 1;
  }
}

async function injectLoss({ set, follower, taps, faults }: SoakRun, random: Random): Promise<void> {
  const releases = taps.map((tap) => {
    tap.losses.push(now());
    return tap.hold(random.next() < 0.5 ? "suspended" : "killed");
  });
  const isLost = await loseHistory(set, follower);
  for (const release of releases) release();
  const name = isLost ? "lost history" : "kept history";
  faults[name] = (faults[name] ?? 0) + 1;
}

async function injectCollectionFaults({ client, writers, randomFor, faults }: SoakRun, end: number): Promise<void> {
  const random = randomFor(`faults of collections ${end}`);
  const what: CollectionFaults = { db: client.db(DB), collections: WRITTEN, random, next: writers.next };
  while (Date.now() < end) {
    await pause(random.between(500, 8000));
    await injectCollectionFault(what, faults);
  }
}

/** Pauses all writers, lets the captures catch up, and compares. Returns the number of broken promises. */
async function judgeRound(run: SoakRun, round: number): Promise<number> {
  const { set, taps, writers, client, follower } = run;
  await writers.pause();
  await set.primary();
  await Promise.all(taps.map((tap) => tap.stop()));
  await follower.upTo(client);
  const database = await untilDone(() => contentOf(client.db(DB)));
  const objections = proofOf(follower.truth, writers.acknowledged, database);
  if (objections.length > 0) throw new Error(`the oplog was not read right: ${objections.slice(0, 5).join("; ")}`);
  let failed = 0;
  for (const tap of taps) {
    const problem = await tap.catchUp();
    if (problem !== undefined) {
      log(`round ${round}, ${tap.options.name}: ${problem}`);
      failed += 1;
    }
    const { out, isBound } = tap.options;
    const files = await readOutput(out);
    const { pinnedAt, losses } = tap;
    const verdict = judge({
      truth: follower.truth,
      files,
      isBound,
      pinnedAt,
      losses,
      restarts: run.restarts,
      database,
    });
    failed += verdict.faults.length;
    report(run, `round ${round}, ${tap.options.name}`, verdict);
  }
  writers.resume();
  for (const tap of taps) tap.start();
  return failed;
}

/** Tries again while faults of the network are still about. */
async function untilDone<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 20) throw error;
      await pause(500);
    }
  }
}

/** By name and key. */
async function contentOf(db: Db): Promise<Map<string, Map<string, string>>> {
  const names = new Map<string, Map<string, string>>();
  for (const collection of await db.collections()) {
    const documents = new Map<string, string>();
    names.set(`${DB}.${collection.collectionName}`, documents);
    for await (const document of collection.find({}, { readConcern: { level: "majority" } }))
      documents.set(String(document._id), BSON.EJSON.stringify(document, { relaxed: true }));
  }
  return names;
}

function report({ totals }: SoakRun, what: string, verdict: Verdict): void {
  const { lines, rows, events, ends, inexact, counts, faults } = verdict;
  const kinds = KINDS.map((kind) => `${counts[kind]} ${kind}`).join(", ");
  log(
    `${what}: ${lines} lines (${rows} copied documents, ${events} events, ${ends} ends; not exact: ${summaryOf(inexact) || "none"}): ${kinds}`,
  );
  for (const kind of KINDS) totals[kind] = (totals[kind] ?? 0) + counts[kind];
  for (const fault of faults.slice(0, 12)) log(`  ${fault}`);
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "30" },
      round: { type: "string", default: "90" },
      seed: { type: "string", default: String(seedFrom(process.env)) },
      command: { type: "string", default: `${process.execPath} ${join(import.meta.dirname, "..", "src", "main.ts")}` },
    },
  });
  return {
    minutes: Number(values.minutes),
    roundMs: Number(values.round) * 1000,
    seed: Number(values.seed),
    command: values.command.split(" "),
  };
}

function summaryOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

/** As the beginning of a cluster time. */
function now(): string {
  return Math.floor(Date.now() / 1000)
    .toString(16)
    .padStart(8, "0");
}

function log(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

process.exitCode = await main();
