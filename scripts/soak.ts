/**
 * Faults on both sides for as long as one likes: `bun scripts/soak.ts --minutes 30 --seed 1`. A replica set of three
 * behind proxies is stepped down, killed, suspended and cut off while writers write and a capture of two collections is
 * killed, stopped and suspended; now and then everything is let rest and an oracle decides. Exits 1 when a promise broke.
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
import { type FaultCounts, hurtServers, Network } from "./soak/server-faults.ts";
import { Tap } from "./soak/tap.ts";
import { type Numbered, startWriters, type Writers } from "./soak/writers.ts";

const DB = "soak";
const COLLECTIONS = ["orders", "items"] as const;
/** Faults go on for so long between two judgements. */
const ROUND_MS = 120_000;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly command: readonly string[];
}

interface Scene {
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
  say(`${options.minutes} minutes, seed ${options.seed}, ${options.command.join(" ")}`);
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
  const tap = new Tap({ command: options.command, args, random: randomFor("faults of the capture"), say });
  const writers = new Map(
    COLLECTIONS.map((name) => [
      name,
      startWriters(client.db(DB).collection<Numbered>(name), `${name[0] ?? ""}`, randomFor(`writes to ${name}`)),
    ]),
  );
  await pause(5_000); // something to copy
  const scene: Scene = {
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
    return await soak(scene, options.minutes * 60_000);
  } finally {
    await tap.stop();
    for (const each of writers.values()) await each.stop();
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function soak(scene: Scene, ms: number): Promise<number> {
  const end = Date.now() + ms;
  let failed = 0;
  scene.tap.start();
  while (!existsSync(join(scene.folder, "state"))) await pause(20);
  for (const each of scene.writers.values()) each.pinned();
  for (let round = 1; Date.now() < end && failed === 0; round += 1) {
    const roundEnd = Math.min(end, Date.now() + ROUND_MS);
    await Promise.all([hurtTap(scene, roundEnd), hurtSet(scene, roundEnd)]);
    failed += await judgeRound(scene, round);
  }
  for (const text of scene.tap.unexpected) say(`UNEXPECTED ${text}`);
  failed += scene.tap.unexpected.length;
  say(`server faults: ${summaryOf(scene.faults)}`);
  const { starts, kills, terms, pauses, ends } = scene.tap.counts;
  say(
    `mongotap: ${starts} starts, ${kills} kills, ${terms} stops, ${pauses} suspensions; ends: ${summaryOf(Object.fromEntries(ends))}`,
  );
  say(failed === 0 ? "every promise held" : `${failed} FAILED`);
  return failed === 0 ? 0 : 1;
}

async function hurtTap({ tap }: Scene, end: number): Promise<void> {
  while (Date.now() < end) {
    await pause(tap.random.between(300, 9000));
    await tap.hurt();
  }
}

async function hurtSet({ set, network, random, faults }: Scene, end: number): Promise<void> {
  while (Date.now() < end) {
    await pause(random.between(1000, 9000));
    await hurtServers(set, network, random, faults);
  }
}

/** Lets everything rest, catches up, and compares. Returns the number of broken promises. */
async function judgeRound({ set, tap, writers, client, folder }: Scene, round: number): Promise<number> {
  for (const each of writers.values()) await each.pause();
  await set.primary();
  await tap.stop();
  const { end, stderr } = await tap.run(["--until", "caught-up"]);
  if (end !== "0") {
    say(`round ${round}: catching up ended with ${end}: ${stderr}`);
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
  say(
    `round ${round}, ${name}: ${lines} lines (${rows} rows, ${events} events, ${missing} without a document), ${faults.length} faults`,
  );
  for (const fault of faults.slice(0, 10)) say(`  ${fault}`);
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

function say(text: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

process.exitCode = await main();
