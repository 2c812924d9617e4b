/** Samples of collections on a server: the choice of documents, and the limits. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { deserialize } from "bson";
import { type Document, MongoClient } from "mongodb";
import { type CollectionInfo, listCollections, optionsJson } from "../../src/source/catalog.ts";
import { readSample, type Sample, type SampleLimits } from "../../src/source/sample.ts";
import { documents, objectIdOf } from "../support/documents.ts";
import { failCommand } from "../support/fail-point.ts";
import { rejectionOf } from "../support/rejection.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";

const APP = "mongotap-sample-test";
const LIMITS: SampleLimits = { documents: 100, bytes: 1e9, timeMs: 30_000 };
const never = new AbortController().signal;

let database: TestDatabase;
let client: MongoClient;
let infos: ReadonlyMap<string, CollectionInfo>;
const pipelines: Document[][] = [];

beforeAll(async () => {
  database = await testDatabase();
  const { db } = database;
  await db.collection("many").insertMany([...documents("small", 5_000)]);
  await db.collection("few").insertMany([...documents("small", 500)]);
  await db.collection("exact").insertMany([...documents("small", 100)]);
  await db.createCollection("empty");
  await db.createCollection("view", { viewOn: "many", pipeline: [{ $match: { sequence: { $gte: 10 } } }] });
  const slow = { $function: { body: "function() { sleep(5); return true; }", args: [], lang: "js" } };
  await db.createCollection("slow", { viewOn: "many", pipeline: [{ $match: { $expr: slow } }] });
  await db.createCollection("times", { timeseries: { timeField: "at" } });
  await db.collection("times").insertMany(Array.from({ length: 300 }, (_, i) => ({ at: new Date(i * 1000), i })));
  await db.createCollection("ring", { capped: true, size: 1 << 20 });
  await db.collection("ring").insertMany([...documents("small", 3_000)]);
  client = await MongoClient.connect(database.uri, { monitorCommands: true, appName: APP });
  client.on("commandStarted", ({ commandName, command }) => {
    if (commandName === "aggregate") pipelines.push((command as { pipeline: Document[] }).pipeline);
  });
  infos = new Map((await listCollections(client, database.name)).map((info) => [info.namespace.collection, info]));
});

afterAll(() => client.close());

interface Read extends Sample {
  readonly ids: readonly string[];
  /** The first stage of each pipeline that the server received. */
  readonly stages: readonly string[];
}

/** Reads a sample; `count` and `size` are the documents and bytes of the catalog. */
async function read(
  collection: string,
  count: number | null,
  {
    size = null,
    signal = never,
    ...limits
  }: Partial<SampleLimits> & { size?: number | null; signal?: AbortSignal } = {},
): Promise<Read> {
  const info = infos.get(collection);
  if (info === undefined) throw new Error(`no collection ${collection}`);
  const ids: string[] = [];
  pipelines.length = 0;
  const onDocument = (bytes: Uint8Array): void => void ids.push(String(deserialize(bytes)["_id"]));
  const measured = { documents: count, bytes: size };
  const request = { info, measured, limits: { ...LIMITS, ...limits }, onDocument };
  const sample = await readSample(client, request, signal);
  return { ...sample, ids, stages: pipelines.map(([stage]) => JSON.stringify(stage)) };
}

describe("documents are chosen", () => {
  test("by $sample with a random cursor, if they are less than a twentieth of the collection", async () => {
    const [one, other] = [await read("many", 5_000), await read("many", 5_000)];
    expect(one).toMatchObject({ how: "random", documents: 100, cut: null, stages: ['{"$sample":{"size":100}}'] });
    expect(one.ids).not.toEqual(other.ids);
    // The probability that none of a hundred is of the second half is 10^-30.
    const middle = String(objectIdOf(2_500));
    expect(one.ids.some((id) => id > middle)).toBe(true);
  });

  test("by $sample with a sort, if they are more and fit into it", async () => {
    const found = await read("few", 500, { size: 100_000 });
    expect(found).toMatchObject({ how: "random", documents: 100, stages: ['{"$sample":{"size":100}}'] });
    expect(new Set(found.ids).size).toBe(100);
  });

  test("by a scan without a sort otherwise: each document with the same probability, the last ones too", async () => {
    const times = new Map<string, number>();
    for (let i = 0; i < 40; i += 1) {
      const found = await read("few", 500, { size: 1e9 });
      expect(found).toMatchObject({ how: "random", stages: ['{"$match":{"$sampleRate":0.2}}'] });
      expect(new Set(found.ids).size).toBe(found.documents);
      for (const id of found.ids) times.set(id, (times.get(id) ?? 0) + 1);
    }
    // 8 are expected of each; at least half of that of the last fifty.
    const last = [...documents("small", 50, 450)].map(({ _id }) => times.get(String(_id)) ?? 0);
    expect(last.reduce((sum, count) => sum + count)).toBeGreaterThan(200);
  });

  test("from capped collections too", async () => {
    expect(await read("ring", 3_000)).toMatchObject({ how: "random", documents: 100 });
  });

  test("all of them, if they are no more than requested", async () => {
    expect(await read("exact", 100)).toMatchObject({ how: "all", documents: 100, stages: ['{"$limit":101}'] });
    expect(await read("empty", 0)).toMatchObject({ how: "all", documents: 0, bytes: 0 });
  });

  test("the first ones of views and time series, and if the count is unknown", async () => {
    expect(await read("view", null)).toMatchObject({ how: "first", documents: 100, stages: ['{"$limit":101}'] });
    expect(await read("times", null)).toMatchObject({ how: "first", documents: 100 });
    expect(await read("many", null)).toMatchObject({ how: "first", documents: 100, cut: null });
    expect(await read("times", null, { documents: 300 })).toMatchObject({ how: "all", documents: 300 });
  });

  test("the first ones, if the server cannot sample", async () => {
    const options = { failCommands: ["aggregate"], errorCode: 40324, times: 1, appName: APP };
    await using failPoint = await failCommand(database.client, options);
    const found = await read("many", 5_000);
    await failPoint.waitForHits(1);
    expect(found).toMatchObject({
      how: "first",
      documents: 100,
      stages: ['{"$sample":{"size":100}}', '{"$limit":101}'],
    });
  });

  test("all of them, if the catalog counted more", async () => {
    expect(await read("empty", 100_000)).toMatchObject({ how: "all", documents: 0 });
  });
});

describe("the limit", () => {
  test("of bytes makes the sample of large documents smaller, and it is still random", async () => {
    const found = await read("few", 500, { documents: 1_000, size: 500_000, bytes: 50_000 });
    expect(found).toMatchObject({ how: "random", cut: "bytes", documents: 50, stages: ['{"$sample":{"size":50}}'] });
  });

  test("of bytes ends the sample with the document that exceeds it, whatever the average size", async () => {
    const found = await read("many", 5_000, { bytes: 1_000 });
    expect(found).toMatchObject({ how: "random", cut: "bytes" });
    expect(found.bytes).toBeGreaterThanOrEqual(1_000);
    expect(found.bytes).toBeLessThan(1_500);
    expect(await read("view", null, { bytes: 1_000 })).toMatchObject({ how: "first", cut: "bytes" });
  });

  test("of time ends a command that would take minutes, and keeps the documents so far", async () => {
    const startedAt = performance.now();
    const found = await read("slow", null, { documents: 5_000, timeMs: 700 });
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect(found).toMatchObject({ how: "first", cut: "time" });
    expect(found.documents).toBeLessThan(5_000);
  });
});

test("a collection that may not be read is an error with the reason", async () => {
  const options = { failCommands: ["aggregate"], errorCode: 13, times: 2, appName: APP };
  await using _failPoint = await failCommand(database.client, options);
  const error = await rejectionOf(read("many", 5_000));
  expect(error).toMatchObject({
    kind: "auth",
    message: expect.stringContaining(`cannot read ${database.name}.many: `),
  });
});

test("a signal aborts it with the signal's reason", async () => {
  const stop = new AbortController();
  const reading = read("slow", null, { documents: 5_000, signal: stop.signal });
  setTimeout(() => stop.abort(new Error("enough")), 300);
  expect(await rejectionOf(reading)).toMatchObject({ message: "enough" });
});

test("the options of a collection are Extended JSON", async () => {
  await database.db.createCollection("checked", {
    validator: { at: { $gte: new Date(0) }, n: { $type: "long" }, "10": 1, "9": 2 },
  });
  const [info] = (await listCollections(client, database.name)).filter((c) => c.namespace.collection === "checked");
  expect(info && optionsJson(info)).toEqual({
    validator: { at: { $gte: { $date: "1970-01-01T00:00:00Z" } }, n: { $type: "long" }, "10": 1, "9": 2 },
  });
});
