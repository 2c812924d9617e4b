/**
 * Compares the speed of two checkouts of mongotap. Runs alternate, so that both share the same load of the machine, and both
 * must write the same bytes.
 *
 *   bun scripts/bench/before-after.ts --before DIR [--after DIR] [--rounds N] [--documents N] [--only LIST]
 *
 * Prints one line for each subject: the median time of both, and the ratio after / before (median over the rounds;
 * below 1 is faster). Each checkout needs its node_modules; the programs are built by the checkouts themselves.
 */

import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { readInt32 } from "../../src/codec/bson.ts";
import { smallDocument, typicalDocument } from "../../test/support/documents.ts";
import { tempDir } from "../../test/support/temp.ts";
import { startReplicaSet } from "../mongod.ts";
import { SHAPES } from "./codec-shapes.ts";
import { type Loaded, loadCollection } from "./load.ts";
import { runProcess } from "./process.ts";
import { median } from "./statistics.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Lets the machine settle before each run. */
const REST_MS = 1_000;

const { values } = parseArgs({
  options: {
    before: { type: "string" },
    after: { type: "string", default: ROOT },
    rounds: { type: "string", default: "7" },
    documents: { type: "string", default: "500000" },
    only: { type: "string", default: "codec,typical,small,tail" },
  },
});
if (values.before === undefined) throw new Error("--before DIR names the checkout to compare with");

const CHECKOUTS = [values.before, values.after] as const;
const ROUNDS = Number(values.rounds);
const DOCUMENTS = Number(values.documents);
const SUBJECTS = new Set(values.only.split(","));

/** Seconds of each round, of the checkout before and of the one after. */
type Times = readonly [before: number[], after: number[]];

/** Alternates which checkout goes first: the second of a pair finds the machine as the first has left it. */
async function alternate(run: (checkout: string) => Promise<number>): Promise<Times> {
  const times: Times = [[], []];
  for (const checkout of CHECKOUTS) await run(checkout); // the first run of each warms caches and counts for nothing
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
      await Bun.sleep(REST_MS);
      times[index as 0 | 1].push(await run(CHECKOUTS[index as 0 | 1]));
    }
  }
  return times;
}

function print(subject: string, [before, after]: Times, unit: string): void {
  const ratios = before.map((value, round) => (after[round] ?? 0) / value);
  const column = (value: number): string => value.toFixed(3).padStart(9);
  console.log(
    `${subject.padEnd(28)} before ${column(median(before))} ${unit}  after ${column(median(after))} ${unit}  ` +
      `after/before ${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)})`,
  );
}

/** What both checkouts export from src/codec/. */
interface Codec {
  readonly createTranscoder: (options: { readonly format: "relaxed" }) => {
    writeDocument(writer: Writer, bytes: Uint8Array, at: number): void;
  };
  readonly JsonWriter: new () => Writer;
}

interface Writer {
  readonly length: number;
  reset(): void;
  writeByte(byte: number): void;
}

/** About what one server reply holds. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Returns a function that transcodes the documents of a shape once with the codec of `checkout` and returns the processor
 * time in microseconds for a kilobyte of BSON. Both checkouts run in this process: what disturbs it disturbs both.
 */
async function codecOf(checkout: string, shape: (typeof SHAPES)[number]): Promise<() => number> {
  const codec = join(checkout, "src/codec");
  const { createTranscoder } = (await import(join(codec, "transcode.ts"))) as Codec;
  const { JsonWriter } = (await import(join(codec, "json-writer.ts"))) as Codec;
  const batch = shape.build(BATCH_BYTES);
  const transcoder = createTranscoder({ format: "relaxed" });
  const writer = new JsonWriter();
  return () => {
    const begin = process.cpuUsage();
    writer.reset();
    for (let at = 0; at < batch.length; at += readInt32(batch, at)) {
      transcoder.writeDocument(writer, batch, at);
      writer.writeByte(10);
    }
    const { user, system } = process.cpuUsage(begin);
    return ((user + system) * 1024) / batch.length;
  };
}

/** One round of the codec is some milliseconds: there are many. */
const CODEC_ROUNDS = 400;

async function compareCodecs(shape: (typeof SHAPES)[number]): Promise<Times> {
  const runs = [await codecOf(CHECKOUTS[0], shape), await codecOf(CHECKOUTS[1], shape)] as const;
  for (let warming = 0; warming < 50; warming += 1) for (const run of runs) run();
  const times: Times = [[], []];
  for (let round = 0; round < CODEC_ROUNDS; round += 1) {
    for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) times[index].push(runs[index]());
  }
  return times;
}

const digests = new Map<string, string>();

/** Seconds of one run of mongotap, whose output must be the same from both checkouts. */
async function programTime(checkout: string, args: readonly string[], file: string): Promise<number> {
  const command = [join(checkout, "dist/mongotap"), ...args, "--out", file, "--log-level", "error"];
  const { seconds } = await runProcess({ command });
  const digest = createHash("sha256").update(readFileSync(file)).digest("hex");
  rmSync(file);
  const subject = args.join(" ");
  const known = digests.get(subject) ?? digest;
  digests.set(subject, known);
  if (known !== digest) throw new Error(`${subject}: the two checkouts do not write the same bytes`);
  return seconds;
}

async function main(): Promise<void> {
  if (SUBJECTS.has("codec")) {
    for (const shape of SHAPES.filter(({ name }) => name === "typical" || name === "small flat")) {
      print(`codec, ${shape.name}`, await compareCodecs(shape), "us/KB");
    }
  }
  const shapes = [
    { name: "typical", count: DOCUMENTS, make: typicalDocument },
    { name: "small", count: DOCUMENTS * 2, make: smallDocument },
  ].filter(({ name }) => SUBJECTS.has(name));
  if (shapes.length === 0 && !SUBJECTS.has("tail")) return;
  for (const checkout of CHECKOUTS) {
    await runProcess({ command: [process.execPath, join(checkout, "scripts/build.ts")] });
  }
  await using folder = await tempDir();
  await using set = await startReplicaSet({ members: 1, cacheGB: 3 });
  await using client = new MongoClient(set.uri);
  const file = folder.join("output");
  const source = ({ database, collection }: Loaded): string[] => [`${database}.${collection}`, "--uri", set.uri];
  for (const { name, count, make } of shapes) {
    const loaded = await loadCollection(client, name, count, make);
    const args = ["backfill", ...source(loaded)];
    print(`backfill, ${name}`, await alternate((checkout) => programTime(checkout, args, file)), "s");
    await client.db(loaded.database).dropCollection(name);
  }
  if (!SUBJECTS.has("tail")) return;
  const seconds = Math.floor(Date.now() / 1000) + 1;
  await Bun.sleep(seconds * 1000 - Date.now() + 5);
  const loaded = await loadCollection(client, "events", Math.ceil(DOCUMENTS / 2), typicalDocument);
  const args = ["tail", ...source(loaded), "--start-at", String(seconds), "--until", "caught-up"];
  print("tail", await alternate((checkout) => programTime(checkout, args, file)), "s");
}

await main();
