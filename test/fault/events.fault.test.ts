/** Faults E1, E4–E10 of docs/reliability.md: events that are large, many at once, or strange. */
import { beforeAll, expect, test } from "bun:test";
import { type Collection, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import { everyIdType, insertEveryIdType } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { faultsOf, orderFaultsOf } from "./support/oracle.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

interface Numbered {
  readonly _id: number;
  readonly v?: number;
  readonly text?: string;
}

const MB = 1024 * 1024;

/** A tail with its position at the beginning of its collection. */
async function tailOf(name: string, ...more: string[]): Promise<{ trial: Trial; collection: Collection<Numbered> }> {
  const trial = await trialOf(database.uri, ["tail", `${database.name}.${name}`, "--allow-missing", ...more]);
  await trial.expect(0, CAUGHT_UP);
  return { trial, collection: database.db.collection<Numbered>(name) };
}

/** A collection that keeps images, with one document whose update makes an event of more than 16 MB. */
async function largeEventOn(set: ReplicaSet): Promise<{ client: MongoClient; collection: Collection<Numbered> }> {
  const client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  const images = { changeStreamPreAndPostImages: { enabled: true } };
  const collection = await client.db("large").createCollection<Numbered>("c", images);
  await collection.insertOne({ _id: 1, v: 0, text: "x".repeat(16 * MB - 2_000) });
  return { client, collection };
}

test("E1 an event of twice 16 MB comes as one line, where the server can split it (6.0.27)", async () => {
  await using set = await startReplicaSet({ members: 1, version: "6.0.27", cacheGB: 0.5 });
  const { client, collection } = await largeEventOn(set);
  await using _client = client;
  await using trial = await trialOf(set.uri, ["tail", "large.c", "--envelope", "change"]);
  await trial.expect(0, CAUGHT_UP);
  await collection.updateOne({ _id: 1 }, { $set: { v: 1 } });
  await collection.insertOne({ _id: 2 });
  await trial.expect(0, CAUGHT_UP);
  const lines = await trial.lines();
  expect(lines.map(({ op }) => op)).toEqual(["u", "c"]);
  const [{ document, before, update } = {}] = lines as { document?: Numbered; before?: Numbered; update?: object }[];
  expect([document?.text?.length, document?.v]).toEqual([16 * MB - 2_000, 1]);
  expect([before?.text?.length, before?.v]).toEqual([16 * MB - 2_000, 0]);
  expect(update).toMatchObject({ updatedFields: { v: 1 } });
});

test("E4 an event above 16 MB that the server cannot split (6.0.5) ends with 9, with the position before it", async () => {
  await using set = await startReplicaSet({ members: 1, version: "6.0.5", cacheGB: 0.5 });
  const { client, collection } = await largeEventOn(set);
  await using _client = client;
  await using trial = await trialOf(set.uri, ["tail", "large.c"]);
  await trial.expect(0, CAUGHT_UP);
  await collection.insertOne({ _id: 2 });
  await trial.expect(0, CAUGHT_UP);
  const before = await trial.files();
  await collection.updateOne({ _id: 1 }, { $set: { v: 1 } });
  for (let run = 0; run < 2; run += 1) {
    const { stderr } = await trial.expect(9, CAUGHT_UP);
    expect(stderr).toContain("10334");
    expect(stderr).toContain("--before none");
    expect(await trial.files()).toEqual(before);
  }
  // Nothing is lost by it: with less around the document it fits.
  await trial.expect(0, [...CAUGHT_UP, "--before", "none", "--accept-change"]);
  expect((await trial.lines()).map(({ _id, v }) => [_id, v])).toEqual([
    [2, undefined],
    [1, 1],
  ]);
});

test("E5 a transaction of 5,000 writes, and one above 16 MB, come once each, also when killed -9 in the middle", async () => {
  const { trial, collection } = await tailOf("transactions");
  await using _trial = trial;
  await collection.insertOne({ _id: -1 });
  const session = database.client.startSession();
  try {
    await session.withTransaction(async () => {
      await collection.insertMany(
        Array.from({ length: 5_000 }, (_, _id) => ({ _id })),
        { session },
      );
    });
    await session.withTransaction(async () => {
      for (let _id = 5_000; _id < 5_020; _id += 1)
        await collection.insertOne({ _id, text: "x".repeat(MB) }, { session });
    });
  } finally {
    await session.endSession();
  }
  for (const limit of ["17", "3000", "1990", "5"]) await trial.expect(0, ["--limit", limit]);
  for (let life = 0; life < 3; life += 1) {
    await using tail = trial.start();
    await trial.waitForLines(5_013 + life);
    tail.kill("SIGKILL");
    await tail.done;
  }
  await trial.expect(0, CAUGHT_UP);
  const lines = await trial.lines();
  expect(lines.map(({ _id }) => _id)).toEqual(Array.from({ length: 5_021 }, (_, i) => i - 1));
  expect(orderFaultsOf(lines)).toEqual([]);
});

test("E6 a document looked up after more updates, and after its delete, shows the version of each update", async () => {
  const { trial, collection } = await tailOf("looked-up");
  await using _trial = trial;
  await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
  for (let v = 1; v <= 100; v += 1) await collection.updateOne({ _id: 1 }, { $set: { v } });
  await collection.updateOne({ _id: 2 }, { $set: { v: 1 } });
  await collection.deleteOne({ _id: 2 });
  const { stderr } = await trial.expect(0, CAUGHT_UP);
  const lines = await trial.lines();
  expect(lines.filter(({ _id, _meta }) => _id === 1 && _meta?.op === "u").map(({ v }) => v)).toEqual(
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  const last = lines.filter(({ _id }) => _id === 2).map(({ _meta, v }) => [_meta?.op, v]);
  expect(last).toEqual([
    ["c", undefined],
    ["u", 1],
    ["d", undefined],
  ]);
  expect(stderr).not.toContain("without a document");
  expect(await faultsOf(lines, collection as never)).toEqual([]);
});

test("E7 a key of every BSON type comes through a tail and a backfill alike", async () => {
  const { trial } = await tailOf("types", "--format", "canonical", "--envelope", "change");
  await using _trial = trial;
  await insertEveryIdType(database.db.collection("types"));
  await trial.expect(0, CAUGHT_UP);
  const told = (await trial.lines()).map(({ document }) => JSON.stringify(document));
  expect(told).toHaveLength(everyIdType.length);
  await using copy = await trialOf(database.uri, ["backfill", `${database.name}.types`, "--format", "canonical"]);
  await copy.expect(0);
  const copied = (await copy.lines()).map((document) => JSON.stringify(document));
  expect(new Set(copied)).toEqual(new Set(told));
  expect(copied).toHaveLength(told.length);
});

test("E8 fields with dots, dollars, digits and empty names, and arrays cut short, come as they are", async () => {
  const { trial } = await tailOf("names", "--envelope", "change");
  await using _trial = trial;
  const { db } = database;
  const first = { _id: 1, "a.b": 1, $c: 2, "": 3, "0": 4, "10": 5, "2": 6, list: [1, 2, 3, 4] };
  const more = { ...first, "a.b": 7, "": 8, list: [1, 2] };
  await db.command({ insert: "names", documents: [first] });
  const update = (u: object[]): Promise<unknown> => db.command({ update: "names", updates: [{ q: { _id: 1 }, u }] });
  await update([{ $replaceWith: { $literal: { ...more, list: first.list } } }]);
  await update([{ $set: { list: [1, 2] } }]);
  await trial.expect(0, CAUGHT_UP);
  const lines = (await trial.lines()) as { document?: object; update?: { truncatedArrays?: object } }[];
  // Both updates are looked up by now.
  expect(lines.map(({ document }) => document)).toEqual([first, expect.objectContaining({ "a.b": 7, "": 8 }), more]);
  expect(lines[2]?.update?.truncatedArrays).toEqual([{ field: "list", newSize: 2 }]);
});

test("E9 20,000 small updates at once come in their order, each once", async () => {
  const { trial, collection } = await tailOf("many", "--full-document", "none", "--envelope", "change");
  await using _trial = trial;
  await collection.insertMany(Array.from({ length: 10 }, (_, _id) => ({ _id })));
  const updates = Array.from({ length: 20_000 }, (_, v) => ({
    updateOne: { filter: { _id: v % 10 }, update: { $set: { v } } },
  }));
  await collection.bulkWrite(updates, { ordered: true });
  await trial.expect(0, CAUGHT_UP);
  const lines = (await trial.lines()) as { update?: { updatedFields: Numbered } }[];
  const told = lines.slice(10).map(({ update }) => update?.updatedFields.v);
  expect(told).toEqual(Array.from({ length: 20_000 }, (_, v) => v));
});

test("E10 documents nested 100 deep come through", async () => {
  const { trial } = await tailOf("deep");
  await using _trial = trial;
  let nested: object = {};
  for (let level = 0; level < 90; level += 1) nested = { a: level % 2 === 0 ? [nested] : nested };
  await database.db.collection<Numbered>("deep").insertOne({ _id: 1, nested } as never);
  await trial.expect(0, CAUGHT_UP);
  const [line] = await trial.lines();
  expect(line?.["nested"]).toEqual(nested);
});
