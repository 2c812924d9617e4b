/**
 * Measures time and memory of `discover` at its limits: a collection of millions of documents, huge documents, documents that
 * are maps with very many keys, and a view that keeps the server busy for minutes.
 *
 *   bun scripts/bench/discover.ts [--documents 10000000] [--rounds 3] [--binary]
 *
 * Starts a server of its own, fills it, and removes all of it.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Collection, MongoClient } from "mongodb";
import { randomOf } from "../../test/support/documents.ts";
import { runProcess } from "./process.ts";
import { startReplicaSet } from "../mongod.ts";

const { values } = parseArgs({
  options: {
    documents: { type: "string", default: "10000000" },
    rounds: { type: "string", default: "3" },
    binary: { type: "boolean", default: false },
  },
});

const ROOT = join(import.meta.dirname, "../..");
const PROGRAM = values.binary
  ? [join(ROOT, "dist/mongotap")]
  : [join(ROOT, "node_modules/.bin/bun"), join(ROOT, "src/main.ts")];

/** Creates the documents on the server: a thousand of them, each copied `times` times with another number. */
async function fillMany(collection: Collection, count: number): Promise<void> {
  const seed = collection.db.collection("seed");
  const random = randomOf(1);
  const seeds = Array.from({ length: 1_000 }, (_, i) => ({
    user: i,
    state: ["open", "paid", "sent"][i % 3],
    amount: Math.floor(random() * 1e5) / 100,
    at: new Date(1.7e12 + i * 1e6),
    note: random() < 0.2 ? null : "quick brown fox",
    address: { city: "Oslo", zip: String(10_000 + i) },
  }));
  await seed.insertMany(seeds);
  const times = Math.ceil(count / seeds.length);
  const numbered = [{ $set: { number: { $range: [0, times] } } }, { $unwind: "$number" }, { $unset: "_id" }];
  await seed.aggregate([...numbered, { $out: collection.collectionName }], { allowDiskUse: true }).toArray();
}

/** 200 documents of 4 MB. */
async function fillHuge(collection: Collection): Promise<void> {
  for (let i = 0; i < 200; i += 1) await collection.insertOne({ number: i, text: "x".repeat(4e6) });
}

/** Each document a map of 500 keys that no other document has. */
async function fillMaps(collection: Collection): Promise<void> {
  const document = (i: number): object => ({
    number: i,
    by: Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`user-${i}-${n}`, { points: n, at: new Date() }])),
  });
  for (let i = 0; i < 4_000; i += 100) {
    await collection.insertMany(Array.from({ length: 100 }, (_, n) => document(i + n)));
  }
}

/** A view that returns its first document after a slow sort of all. */
async function makeSlow(collection: Collection): Promise<void> {
  const slow = { $function: { body: "function(n) { return Math.sin(n); }", args: ["$number"], lang: "js" } };
  const pipeline = [{ $set: { key: slow } }, { $sort: { key: 1 } }];
  await collection.db.createCollection("slow", { viewOn: collection.collectionName, pipeline });
}

interface Case {
  readonly what: string;
  readonly args: readonly string[];
}

const CASES: readonly Case[] = [
  { what: "list of all collections", args: ["bench"] },
  { what: "millions of small documents", args: ["bench.many"] },
  { what: "the same, --sample 10000", args: ["bench.many", "--sample", "10000"] },
  { what: "the same, --sample 100000", args: ["bench.many", "--sample", "100000"] },
  { what: "documents of 4 MB", args: ["bench.huge"] },
  { what: "500 dynamic keys in each document", args: ["bench.maps"] },
  { what: "a view that sorts for minutes", args: ["bench.slow", "--sample-time", "5s"] },
  { what: "all of it, --as html", args: ["bench", "--as", "html", "--sample-time", "5s"] },
];

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

async function measure(uri: string, { what, args }: Case): Promise<void> {
  const seconds: number[] = [];
  const peaks: number[] = [];
  let summary = "";
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const finished = await runProcess({ command: [...PROGRAM, "discover", ...args, "--uri", uri] });
    seconds.push(finished.seconds);
    peaks.push(finished.peakMB);
    summary = finished.stdout.split("\n").find((line) => / documents?(,|$)/.test(line)) ?? "";
  }
  const columns = [
    what.padEnd(36),
    median(seconds).toFixed(2).padStart(7),
    Math.max(...peaks)
      .toFixed(0)
      .padStart(7),
  ];
  console.log(`${columns.join("  ")}  ${summary.startsWith("<") ? "" : summary.replace(/^[^:]*: /, "")}`);
}

const began = performance.now();
await using set = await startReplicaSet({ members: 1, cacheGB: 2 });
await using client = await MongoClient.connect(set.uri);
const db = client.db("bench");
await fillMany(db.collection("many"), Number(values.documents));
await fillHuge(db.collection("huge"));
await fillMaps(db.collection("maps"));
await makeSlow(db.collection("many"));
await db.collection("seed").drop();
const { count, size } = await db.command({ collStats: "many" });
console.log(
  `mongod ${set.version}; ${Number(count).toLocaleString("en-US")} documents, ${(Number(size) / 1e6).toFixed(0)} MB; ` +
    `filled in ${((performance.now() - began) / 1000).toFixed(0)} s; median of ${values.rounds}`,
);
console.log(`${"".padEnd(36)}  ${"seconds".padStart(7)}  ${"peak MB".padStart(7)}  looked at`);
for (const one of CASES) await measure(set.uri, one);
