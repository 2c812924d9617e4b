import { expect, setDefaultTimeout, test } from "bun:test";
import { type Document, Double, Long, MongoClient, ObjectId, type TimeSeriesCollectionOptions } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { must } from "../../src/errors.ts";
import { type Buckets, type BucketSettings, findBuckets, readBuckets } from "../../src/source/buckets.ts";
import { type CollectionInfo, listCollections } from "../../src/source/catalog.ts";
import { type Chunk, nameOf, type RangeProgress } from "../../src/source/record.ts";
import { createScan } from "../../src/source/scan.ts";
import { randomFor } from "../support/random.ts";
import { sharedReplicaSet, type TestDatabase, testDatabase } from "../support/replica-set.ts";
import { bsonOf } from "../support/reply.ts";
import { BEGIN, never } from "./kinds.ts";

setDefaultTimeout(120_000);

const random = randomFor("buckets");
const { version } = await sharedReplicaSet();
const VERSION = version.split(".").map(Number);
/** Older servers are asked for the whole time series: there, the tests of buckets hold that against a find. */
const HAS_BUCKETS = Number(VERSION[0]) >= 6;

function valueOf(kind: number): unknown {
  const values = [
    1,
    new Double(1),
    "text",
    null,
    new Date(kind),
    Long.fromNumber(2 ** 40),
    { a: { b: [1, {}] } },
    [],
    true,
  ];
  return values[kind % values.length];
}

/** A measurement with fields, and an `_id`, that others lack. */
function measurement({ timeField, metaField }: TimeSeriesCollectionOptions, time: number): Document {
  const fields = Array.from({ length: random.whole(5) }, () => [`f${random.whole(7)}`, valueOf(random.whole(20))]);
  const metas = [1, "x", { a: 1, b: 2 }, { b: 2, a: 1 }, null, [1]];
  return {
    ...(random.whole(2) === 0 ? {} : { _id: random.whole(3) === 0 ? random.whole(40) : new ObjectId() }),
    ...Object.fromEntries(fields),
    [timeField]: new Date(time),
    ...(metaField === undefined || random.whole(4) === 0 ? {} : { [metaField]: random.pick(metas) }),
    late: valueOf(random.whole(20)),
  };
}

async function seriesOf({ client, name }: TestDatabase, collection: string): Promise<CollectionInfo> {
  const infos = await listCollections(client, name);
  const info = infos.find(({ namespace }) => namespace.collection === collection);
  return must(info, "the time series");
}

async function settingsFor(database: TestDatabase, collection: string): Promise<BucketSettings> {
  const { client } = database;
  const info = await seriesOf(database, collection);
  const buckets = (await findBuckets(client, info, VERSION, never)) as Buckets;
  return { client, namespace: info.namespace, buckets, standalone: false, chunkBytes: 20_000 };
}

/** What a chunk holds, document by document, in hex. */
function hexOf(chunk: Chunk): string[] {
  const { bytes, offsets } = bsonOf(chunk);
  const lengthAt = (offset: number): number => Buffer.from(bytes.buffer, bytes.byteOffset + offset).readInt32LE(0);
  return offsets.map((offset) => Buffer.from(bytes.subarray(offset, offset + lengthAt(offset))).toString("hex"));
}

/** Reads to the end; goes on after every place to go on from, as runs do that are killed there. */
async function readInSteps(settings: BucketSettings): Promise<{ found: string[]; steps: number }> {
  let progress: RangeProgress = BEGIN;
  const found: string[] = [];
  let steps = 0;
  while (!progress.done) {
    const read: string[] = [];
    for await (const chunk of readBuckets(settings, progress, never)) {
      read.push(...hexOf(chunk));
      if (chunk.partial === true) continue;
      progress = JSON.parse(JSON.stringify(chunk.progress)) as RangeProgress;
      break;
    }
    found.push(...read);
    expect(progress.documents).toBe(found.length);
    steps += 1;
  }
  return { found, steps };
}

/** As a normal `find` returns them. */
async function contentOf({ db }: TestDatabase, collection: string): Promise<string[]> {
  const all = await db.collection(collection).find({}, { raw: true }).toArray();
  return all.map((document) => Buffer.from(document as never as Uint8Array).toString("hex"));
}

/** Of a server without buckets to read: it says why, and one cursor returns everything. */
async function expectWholeRead(database: TestDatabase, collection: string): Promise<void> {
  const { client } = database;
  const info = await seriesOf(database, collection);
  expect(await findBuckets(client, info, VERSION, never)).toEqual({ why: "the server is older than 6.0" });
  const found: string[] = [];
  const scan = createScan({ client, info, standalone: false, chunkBytes: 20_000, repeatable: true });
  for await (const chunk of scan(never)) found.push(...hexOf(chunk));
  expect(found).toEqual(await contentOf(database, collection));
}

const DAY = 86_400_000;
const KINDS: readonly (readonly [kind: string, options: TimeSeriesCollectionOptions, timeOf: (i: number) => number])[] =
  [
    ["without a metaField", { timeField: "t" }, (i) => 1.7e12 + i * 1_000],
    ["with a metaField", { timeField: "t", metaField: "m" }, (i) => 1.7e12 + i * 100],
    ["by hours", { timeField: "ts", metaField: "meta", granularity: "hours" }, (i) => 1.7e12 + i * 1_000_000],
    ["with measurements in no order", { timeField: "t", metaField: "m" }, () => 1.7e12 + random.whole(DAY)],
    ["before 1970 and after 2038", { timeField: "t", metaField: "m" }, (i) => (i - 600) * 100 * DAY],
    ["with odd names", { timeField: "zeit", metaField: "a b" }, (i) => 1.7e12 + i * 50],
  ];

test.each(KINDS)(
  "readBuckets() of a time series %s, resumed after every chunk, yields what a find does, byte for byte and in its order",
  async (_, options, timeOf) => {
    const database = await testDatabase();
    await database.db.createCollection("series", { timeseries: options });
    const all = Array.from({ length: 3_000 }, (_, i) => measurement(options, timeOf(i)));
    for (let i = 0; i < all.length; i += 500) {
      await database.db.collection("series").insertMany(all.slice(i, i + 500), { ordered: i % 1_000 === 0 });
    }
    if (!HAS_BUCKETS) return await expectWholeRead(database, "series");
    const { found, steps } = await readInSteps(await settingsFor(database, "series"));
    expect(found).toHaveLength(all.length);
    expect(found).toEqual(await contentOf(database, "series"));
    expect(steps).toBeGreaterThan(3);
  },
);

test("readBuckets() of buckets above 16 MB has no place to go on from amid them", async () => {
  const database = await testDatabase();
  await database.db.createCollection("large", { timeseries: { timeField: "t", metaField: "m" } });
  // One bucket: each measurement repeats the meta.
  const m = "m".repeat(1024 * 1024);
  const all = Array.from({ length: 40 }, (_, i) => ({ t: new Date(1.7e12 + i), m, i }));
  for (const one of all) await database.db.collection("large").insertOne(one);
  if (!HAS_BUCKETS) return await expectWholeRead(database, "large");
  const settings = await settingsFor(database, "large");
  const chunks: { partial: boolean; last: boolean; done: boolean }[] = [];
  const found: string[] = [];
  for await (const chunk of readBuckets(settings, BEGIN, never)) {
    found.push(...hexOf(chunk));
    const { last, done } = chunk.progress;
    chunks.push({ partial: chunk.partial === true, last: last !== undefined, done });
  }
  expect(found.length).toBe(all.length);
  expect(found).toEqual(await contentOf(database, "large"));
  expect(chunks.filter(({ partial }) => partial).length).toBeGreaterThan(1);
  expect(chunks.filter(({ partial, last, done }) => partial && (last || done))).toEqual([]);
  expect(chunks.at(-1)).toMatchObject({ partial: false, done: true });
});

test("a measurement that comes into a bucket that has been read is newer than the copy", async () => {
  const database = await testDatabase();
  const series = await database.db.createCollection("growing", { timeseries: { timeField: "t", metaField: "m" } });
  const insert = async (m: number, i: number): Promise<unknown> =>
    series.insertOne({ _id: `${m} ${i}` as never, t: new Date(1.7e12 + i), m, text: "x".repeat(1_000) });
  for (let m = 0; m < 60; m += 1) await insert(m, 0);
  if (!HAS_BUCKETS) return await expectWholeRead(database, "growing");
  const before = await contentOf(database, "growing");
  const found: string[] = [];
  let round = 0;
  for await (const chunk of readBuckets(await settingsFor(database, "growing"), BEGIN, never)) {
    found.push(...hexOf(chunk));
    round += 1;
    for (let m = 0; m < 60; m += 1) await insert(m, round);
  }
  expect(round).toBeGreaterThan(1);
  expect(new Set(found).size).toBe(found.length);
  expect(before.filter((one) => !found.includes(one))).toEqual([]);
});

test("findBuckets() says why the buckets cannot be read, and needs `find` on them only", async () => {
  await using set = await startReplicaSet({ members: 1, auth: { user: "root", password: "root" } });
  const root = await MongoClient.connect(set.uri);
  await root.db("shop").createCollection("series", { timeseries: { timeField: "t" } });
  await root.db("shop").collection("series").insertOne({ t: new Date() });
  const admin = root.db("admin");
  const on = (collection: string, ...actions: string[]): object => ({ resource: { db: "shop", collection }, actions });
  const privileges = [on("", "listCollections", "find"), on("system.buckets.series", "find")];
  await admin.command({ createRole: "buckets", privileges, roles: [] });
  for (const [user, roles] of [
    ["reader", [{ role: "read", db: "shop" }]],
    ["both", ["buckets"]],
    ["everywhere", ["readAnyDatabase"]],
  ] as const) {
    await admin.command({ createUser: user, pwd: "p", roles });
  }
  const whyNot = async (user: string): Promise<string> => {
    const client = await MongoClient.connect(set.uri.replace("root:root@", `${user}:p@`));
    try {
      const [info] = (await listCollections(client, "shop")).filter(({ type }) => type === "timeseries");
      const found = await findBuckets(client, must(info, "the time series"), VERSION, never);
      return "why" in found ? found.why : nameOf(found.namespace);
    } finally {
      await client.close();
    }
  };
  const readable = HAS_BUCKETS ? "shop.system.buckets.series" : "the server is older than 6.0";
  const refused = HAS_BUCKETS ? "the user may not read shop.system.buckets.series" : readable;
  expect(await whyNot("reader")).toBe(refused);
  expect(await whyNot("both")).toBe(readable);
  expect(await whyNot("everywhere")).toBe(readable);
  await root.close();
});
