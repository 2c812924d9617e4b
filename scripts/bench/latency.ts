/** The time from the acknowledgement of a write to its line in the pipe, at a steady rate of writes. */

import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "mongodb";
import { must } from "../../src/errors.ts";
import { objectIdOf, type TestDocument, typicalDocument } from "../../test/support/documents.ts";
import { mongotapCommand } from "./backfill.ts";
import { DRIVER, MONGOTAP } from "./names.ts";
import type { Delay, Latency } from "./results.ts";
import { quantile } from "./statistics.ts";
import type { BenchContext } from "./context.ts";

const PER_SECOND = 1_000;
/** The first writes, while programs warm up; not measured. */
const WARM_UP = PER_SECOND;
/** How long the first and the last line may take. */
const PATIENCE_MS = 20_000;
const DATABASE = "bench";
const COLLECTION = "latency";

export async function measureLatency(context: BenchContext): Promise<Latency[]> {
  const loaded = { database: DATABASE, collection: COLLECTION, documents: 0, bytes: 0 };
  const contestants = [
    { name: MONGOTAP, command: mongotapCommand(context, "tail", loaded) },
    { name: DRIVER, command: [context.programs.client, "driver-live", context.uri, DATABASE, COLLECTION] },
  ];
  const rows = contestants.map(({ name }) => ({ name, runs: [] as Delay[] }));
  for (let round = 1; round <= context.rounds; round += 1) {
    for (const [index, { name, command }] of contestants.entries()) {
      const delay = await measureOnce(context, command);
      rows[index]?.runs.push(delay);
      context.log(`latency, round ${round}: ${name}: p50 ${delay.p50.toFixed(1)} ms, p99 ${delay.p99.toFixed(1)} ms`);
    }
  }
  return [{ kind: "latency", id: "latency", title: `${PER_SECOND} acknowledged inserts a second`, rows }];
}

async function measureOnce(context: BenchContext, command: readonly string[]): Promise<Delay> {
  const collection = context.client.db(DATABASE).collection<TestDocument>(COLLECTION);
  await collection.drop().catch(() => undefined);
  await collection.insertOne({ _id: objectIdOf(0) });
  const path = join(context.folder, "pipe");
  execFileSync("mkfifo", [path]);
  const arrivals = readArrivals(path);
  const handle = await open(path, "w");
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: handle.fd, stderr: "inherit" });
  await handle.close();
  try {
    const first = await untilListening(collection, arrivals.times);
    const acknowledged = await writeSteadily(collection, first, context.latencySeconds * PER_SECOND + WARM_UP);
    await untilAll(acknowledged, arrivals.times);
    return delayOf(acknowledged, arrivals.times, first + WARM_UP);
  } finally {
    child.kill("SIGTERM");
    await child.exited;
    await arrivals.ended;
    await rm(path);
  }
}

interface Arrivals {
  /** When the line of each document was read, by its number. */
  readonly times: ReadonlyMap<number, number>;
  readonly ended: Promise<void>;
}

/** Records when lines arrive. `objectIdOf` made the `_id` of each document from its number. */
function readArrivals(path: string): Arrivals {
  const times = new Map<number, number>();
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const chunk of createReadStream(path, { encoding: "latin1" })) {
      const now = performance.now();
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, seconds, count] = /([0-9a-f]{8})feedc0de5a([0-9a-f]{6})/.exec(line) ?? [];
        if (seconds === undefined || count === undefined) throw new Error("a line without a known _id");
        times.set((Number.parseInt(seconds, 16) - 1_700_000_000) * 1_000 + Number.parseInt(count, 16), now);
      }
    }
  };
  return { times, ended: read() };
}

/** Writes until the first line arrives. Resolves with the first unused number. */
async function untilListening(collection: Collection<TestDocument>, times: Arrivals["times"]): Promise<number> {
  let number = 1;
  const deadline = performance.now() + PATIENCE_MS;
  while (times.size === 0) {
    if (performance.now() > deadline) throw new Error("no line came");
    await collection.insertOne(typicalDocument(number));
    number += 1;
    await sleep(50);
  }
  return number;
}

/** Inserts `count` documents on schedule. Resolves with the time of each acknowledgement. */
async function writeSteadily(
  collection: Collection<TestDocument>,
  first: number,
  count: number,
): Promise<Map<number, number>> {
  const documents = Array.from({ length: count }, (_, i) => typicalDocument(first + i));
  const acknowledged = new Map<number, number>();
  const flying = new Set<Promise<void>>();
  const write = async (document: TestDocument, number: number): Promise<void> => {
    await collection.insertOne(document, { writeConcern: { w: "majority" } });
    acknowledged.set(number, performance.now());
  };
  const began = performance.now();
  for (const [index, document] of documents.entries()) {
    const early = began + (index / PER_SECOND) * 1000 - performance.now();
    if (early > 0) await sleep(early);
    const writing = write(document, first + index).finally(() => flying.delete(writing));
    flying.add(writing);
  }
  await Promise.all(flying);
  return acknowledged;
}

function delayOf(acknowledged: ReadonlyMap<number, number>, times: Arrivals["times"], from: number): Delay {
  const delays: number[] = [];
  for (const [number, written] of acknowledged) {
    const arrived = must(times.get(number), "an arrival");
    // A line may even be there before its acknowledgement has been read.
    if (number >= from) delays.push(Math.max(0, arrived - written));
  }
  delays.sort((a, b) => a - b);
  return { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), max: quantile(delays, 1), writes: delays.length };
}

async function untilAll(acknowledged: ReadonlyMap<number, number>, times: Arrivals["times"]): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  // Not in the order of their numbers: many writes are under way at a time.
  while (![...acknowledged.keys()].every((number) => times.has(number))) {
    if (performance.now() > deadline) throw new Error("some lines never came");
    await sleep(100);
  }
}
