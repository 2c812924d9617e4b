/**
 * Injects faults on both sides for a chosen time: `bun scripts/soak.ts --minutes 30 --seed 1`. Members of a replica set of
 * three, behind proxies, step down or are killed, suspended and disconnected, while writers write and a capture of two
 * collections is killed, stopped and suspended. After each round an oracle judges the output. Exits 1 if a promise broke.
 */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { MongoClient } from "mongodb";

import { Random, seedFrom } from "./lib/random.ts";
import { type ReplicaSet, startReplicaSet } from "./mongod.ts";
import { judge, type Verdict } from "./soak/oracle.ts";
import { type FaultCounts, injectServerFault, Network } from "./soak/server-faults.ts";
import { Tap } from "./soak/tap.ts";
import { type Numbered, startWriters, type Writers } from "./soak/writers.ts";

const DB = "soak";
const COLLECTIONS = ["orders", "items"] as const;
/** How long faults are injected before the output is judged. */
const ROUND_MS = 120_000;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly command: readonly string[];
}

interface SoakRun {
  readonly set: ReplicaSet;
  readonly network: Network;
  readonly client: MongoClient;
  readonly writers: ReadonlyMap<string, Writers>;
  readonly tap: Tap;
  readonly folder: string;
  readonly random: Random;
  readonly faults: FaultCounts;
}

async function main(): Promise<number> {
  const options = readOptions();
  log(`${options.minutes} minutes, seed ${options.seed}, ${options.command.join(" ")}`);
  const folder = await mkdtemp(join(tmpdir(), "mongotap-soak-"));
  await using network = new Network();
  await using set = await startReplicaSet({ members: 3, advertise: network.advertise });
  const randomFor = (name: string): Random => Random.for(options.seed, name);
  const client = new MongoClient(set.uri, {
    retryWrites: true,
    writeConcern: { w: "majority" },
    serverSelectionTimeoutMS: 60_000,
  });
  const args = [
    "capture",
    ...COLLECTIONS.map((name) => `${DB}.${name}`),
    "--uri",
    set.uri,
    "--out",
    `${folder}/out/`,
    "--state",
    `${folder}/state`,
  ];
  const tap = new Tap({ command: options.command, args, random: randomFor("faults of the capture"), log });
  const writers = new Map(
    COLLECTIONS.map((name) => [
      name,
      startWriters(client.db(DB).collection<Numbered>(name), `${name[0] ?? ""}`, randomFor(`writes to ${name}`)),
    ]),
  );
  await pause(5_000); // something to copy
  const run: SoakRun = {
    set,
    network,
    client,
    writers,
    tap,
    folder,
    random: randomFor("faults of the servers"),
    faults: {},
  };
  try {
    return await soak(run, options.minutes * 60_000);
  } finally {
    await tap.stop();
    for (const each of writers.values()) await each.stop();
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function soak(run: SoakRun, ms: number): Promise<number> {
  const end = Date.now() + ms;
  let failed = 0;
  run.tap.start();
  while (!existsSync(join(run.folder, "state"))) await pause(20);
  for (const each of run.writers.values()) each.pinned();
  for (let round = 1; Date.now() < end && failed === 0; round += 1) {
    const roundEnd = Math.min(end, Date.now() + ROUND_MS);
    await Promise.all([injectTapFaults(run, roundEnd), injectSetFaults(run, roundEnd)]);
    failed += await judgeRound(run, round);
  }
  for (const text of run.tap.unexpected) log(`UNEXPECTED ${text}`);
  failed += run.tap.unexpected.length;
  log(`server faults: ${summaryOf(run.faults)}`);
  const { starts, kills, terms, pauses, ends } = run.tap.counts;
  log(
    `mongotap: ${starts} starts, ${kills} kills, ${terms} stops, ${pauses} suspensions; ends: ${summaryOf(Object.fromEntries(ends))}`,
  );
  log(failed === 0 ? "every promise held" : `${failed} FAILED`);
  return failed === 0 ? 0 : 1;
}

async function injectTapFaults({ tap }: SoakRun, end: number): Promise<void> {
  while (Date.now() < end) {
    await pause(tap.random.between(300, 9000));
    await tap.injectFault();
  }
}

async function injectSetFaults({ set, network, random, faults }: SoakRun, end: number): Promise<void> {
  while (Date.now() < end) {
    await pause(random.between(1000, 9000));
    await injectServerFault(set, network, random, faults);
  }
}

/** Pauses all writers, lets a capture catch up, and compares. Returns the number of broken promises. */
async function judgeRound({ set, tap, writers, client, folder }: SoakRun, round: number): Promise<number> {
  for (const each of writers.values()) await each.pause();
  await set.primary();
  await tap.stop();
  const { end, stderr } = await tap.run(["--until", "caught-up"]);
  if (end !== "0") {
    log(`round ${round}: catching up ended with ${end}: ${stderr}`);
    return 1;
  }
  let failed = 0;
  for (const [name, each] of writers) {
    const path = join(folder, "out", `${DB}.${name}.ndjson`);
    const verdict = await judge(path, each.history, client.db(DB).collection<Numbered>(name));
    failed += verdict.faults.length;
    report(round, name, verdict);
    each.resume();
  }
  tap.start();
  return failed;
}

function report(round: number, name: string, { lines, rows, events, missing, faults }: Verdict): void {
  log(
    `round ${round}, ${name}: ${lines} lines (${rows} rows, ${events} events, ${missing} without a document), ${faults.length} faults`,
  );
  for (const fault of faults.slice(0, 10)) log(`  ${fault}`);
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "30" },
      seed: { type: "string", default: String(seedFrom(process.env)) },
      command: { type: "string", default: `${process.execPath} ${join(import.meta.dirname, "..", "src", "main.ts")}` },
    },
  });
  return { minutes: Number(values.minutes), seed: Number(values.seed), command: values.command.split(" ") };
}

function summaryOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
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
