import { describe, expect, test } from "bun:test";
import { type CommandStartedEvent, type Document, BSON, MongoClient } from "mongodb";
import { RAW_FIELDS, RawFields } from "../../src/connect/raw-fields.ts";
import { must } from "../../src/errors.ts";
import { keyOf } from "../../src/source/bson-key.ts";
import { listCollections } from "../../src/source/catalog.ts";
import { type BsonDocuments, type Chunk, clusterTime, nameOf, type RangeProgress } from "../../src/source/record.ts";
import { createScan } from "../../src/source/scan.ts";
import { readRange, type SnapshotSettings } from "../../src/source/snapshot.ts";
import { documents } from "../support/documents.ts";
import { sharedReplicaSet, testDatabase } from "../support/replica-set.ts";
import { BEGIN, expectedIds, idsOf, insertMixed, KINDS, never, prepare, settingsOf } from "./kinds.ts";

/** Reads to the end; resumes after every chunk from its progress as the state file keeps it. */
async function readInSteps(settings: SnapshotSettings, step: number, from: RangeProgress = BEGIN): Promise<string[]> {
  const ids: string[] = [];
  let progress = from;
  while (!progress.done) {
    for await (const chunk of readRange(settings, progress, never, step)) {
      ids.push(...idsOf(chunk));
      progress = JSON.parse(JSON.stringify(chunk.progress)) as RangeProgress;
      break;
    }
  }
  expect(progress.documents).toBe(from.documents + ids.length);
  return ids;
}

describe.each(KINDS)("readRange() of a %s collection with _ids of every type", (_, options) => {
  test.each([1, 2, 7, 1_000])(
    "yields every document once, in the order of the index, resumed after every %p",
    async (step) => {
      const prepared = await prepare(options);
      await insertMixed(prepared);
      const expected = await expectedIds(prepared);
      expect(expected.length).toBeGreaterThan(200);
      expect(await readInSteps(prepared.settings, step)).toEqual(expected);
    },
  );

  test("yields each document in exactly one of the ranges that it is split into", async () => {
    const prepared = await prepare(options);
    await insertMixed(prepared);
    const expected = await expectedIds(prepared);
    const keys: string[] = [];
    for await (const { documents: all } of readRange(prepared.settings, BEGIN, never)) {
      keys.push(...all.offsets.map((offset) => keyOf(all.bytes, offset)));
    }
    // Bounds of every type but MinKey and MaxKey: the server refuses a range that cannot contain a document.
    const bounds = keys.filter((__, i) => i % 9 === 1);
    const ids: string[] = [];
    for (const [i, from] of [undefined, ...bounds].entries()) {
      const to = bounds[i];
      const range: RangeProgress = {
        ...BEGIN,
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
      };
      ids.push(...(await readInSteps(prepared.settings, 4, range)));
    }
    expect(ids).toEqual(expected);
  });
});

test("readRange() resumes after a document that has been deleted", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany(Array.from({ length: 20 }, (_, i) => ({ _id: i as never })));
  const ids: number[] = [];
  let progress = BEGIN;
  while (!progress.done) {
    for await (const chunk of readRange(prepared.settings, progress, never, 3)) {
      ids.push(...valuesOf(chunk).map((document) => Number(document["_id"])));
      ({ progress } = chunk);
      break;
    }
    await prepared.collection.deleteOne({ _id: ids.at(-1) as never });
  }
  expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

test("readRange() takes 1, 1.0 and NumberLong(1) for the same key: an _id that was replaced so is not repeated", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([{ _id: 1 as never }, { _id: 2 as never }]);
  const first = must((await Array.fromAsync(readRange(prepared.settings, BEGIN, never, 1)))[0], "a chunk");
  await prepared.collection.deleteOne({ _id: 1 as never });
  await prepared.database.db.command({
    insert: "c",
    documents: [{ _id: BSON.Long.fromNumber(1) }],
    writeConcern: { w: "majority" },
  });
  const rest = await Array.fromAsync(readRange(prepared.settings, first.progress, never));
  expect(rest.flatMap(valuesOf).map((document) => Number(document["_id"]))).toEqual([2]);
});

function valuesOf({ documents: { bytes, offsets } }: Chunk<BsonDocuments>): Document[] {
  return offsets.map((offset) => {
    const length = new DataView(bytes.buffer, bytes.byteOffset + offset).getInt32(0, true);
    return BSON.deserialize(bytes.subarray(offset, offset + length));
  });
}

test("readRange() yields the time at which a chunk is true: later writes are in later chunks or in none", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany(Array.from({ length: 10 }, (_, i) => ({ _id: i as never, v: 0 })));
  const times: string[] = [];
  const versions: unknown[] = [];
  let progress = BEGIN;
  for (let v = 1; !progress.done; v += 1) {
    for await (const chunk of readRange(prepared.settings, progress, never, 2)) {
      expect(chunk.exact).toBe(true);
      times.push(chunk.at);
      versions.push(...valuesOf(chunk).map((document) => document["v"]));
      ({ progress } = chunk);
      break;
    }
    await prepared.collection.updateMany({}, { $set: { v } });
  }
  expect(times).toEqual([...new Set(times)].toSorted());
  expect(versions).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
});

test("readRange() keeps chunks near their size in bytes, whatever the size of a document", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([...documents("large", 300)]);
  const chunkBytes = 200_000;
  const chunks = await Array.fromAsync(readRange({ ...prepared.settings, chunkBytes }, BEGIN, never));
  // The first chunk is requested before the size of a document is known.
  const sizes = chunks.slice(1).map(({ documents: all }) => all.bytes.length);
  for (const size of sizes) expect(size).toBeLessThan(chunkBytes * 2);
  const capped = await Array.fromAsync(readRange({ ...prepared.settings, chunkBytes }, BEGIN, never, 10));
  expect(capped.flatMap(idsOf)).toHaveLength(10);
});

test("readRange() throws a retryable error for a chunk older than `notBefore`", async () => {
  const { settings, collection } = await prepare({});
  await collection.insertOne({});
  const future = clusterTime(Math.floor(Date.now() / 1_000) + 3_600, 1);
  const reading = Array.fromAsync(readRange({ ...settings, notBefore: future }, BEGIN, never));
  expect(await reading.catch((error: unknown) => error)).toMatchObject({ kind: "connect", retryable: true });
});

/** The index bounds of a command: they are sent as bytes. */
function boundsIn(command: Document | undefined): string {
  const raw: unknown = command?.[RAW_FIELDS];
  return raw instanceof RawFields ? Buffer.from(raw.bytes).toString("latin1") : "";
}

test("readRange() sends finds with index bounds, singleBatch and snapshot reads, without collation and getMore", async () => {
  const prepared = await prepare({ collation: { locale: "fr", strength: 1 } });
  await insertMixed(prepared);
  await using client = await MongoClient.connect((await sharedReplicaSet()).uri, { monitorCommands: true });
  const commands: Document[] = [];
  client.on("commandStarted", ({ command }: CommandStartedEvent) => commands.push(command));
  await readInSteps({ ...prepared.settings, client }, 50);
  expect(new Set(commands.map((command) => Object.keys(command)[0]))).toEqual(new Set(["find"]));
  for (const command of commands) {
    expect(command).toMatchObject({ singleBatch: true, readConcern: { level: "snapshot" } });
    expect(command).not.toHaveProperty("collation");
  }
  const [first, ...rest] = commands;
  expect(boundsIn(first)).toBe("");
  for (const command of rest.slice(0, -1)) {
    expect(command).toMatchObject({ hint: { _id: 1 } });
    expect(boundsIn(command)).toStartWith("\x03min\0");
  }
});

test("a scan reads a view from beginning to end, at one time, and only its last chunk is a place to go on from", async () => {
  const database = await testDatabase();
  await database.db.collection("all").insertMany([...documents("small", 12_000)]);
  await database.db.createCollection("half", { viewOn: "all", pipeline: [{ $match: { sequence: { $mod: [2, 0] } } }] });
  const infos = await listCollections(database.client, database.name);
  const view = must(
    infos.find((info) => nameOf(info.namespace).endsWith(".half")),
    "the view",
  );
  const scan = createScan({ ...settingsOf(database.client, view), repeatable: true });
  const chunks = await Array.fromAsync(scan(never));
  expect(chunks.flatMap(valuesOf)).toHaveLength(6_000);
  expect(chunks.map(({ progress }) => progress.done)).toEqual(chunks.map((_, i) => i === chunks.length - 1));
  expect(chunks.map(({ partial }) => partial !== true)).toEqual(chunks.map(({ progress }) => progress.done));
  expect(chunks.length).toBeGreaterThan(1);
  expect(chunks.every(({ exact }) => exact)).toBeTrue();
  expect(new Set(chunks.map(({ at }) => at)).size).toBe(1);
  const few = await Array.fromAsync(scan(never, 10));
  expect(few.flatMap(valuesOf)).toHaveLength(10);
  // The view may have more documents: a later run must read it again.
  expect(few.at(-1)?.progress).toMatchObject({ done: false, documents: 10 });
  expect(few.at(-1)?.partial).toBeTrue();
});

test("readRange() says at which time there was no such collection: not before the time of the stream, and after its drop", async () => {
  const { settings, collection } = await prepare({});
  await collection.insertOne({ _id: 1 as never });
  const before = await operationTime(settings.client);
  await collection.drop();
  const chunks: Chunk[] = [];
  for await (const chunk of readRange({ ...settings, notBefore: before }, BEGIN, never)) chunks.push(chunk);
  expect(chunks).toHaveLength(1);
  expect(chunks[0]).toMatchObject({ exact: true, progress: { documents: 0, done: true } });
  const { at } = must(chunks[0], "the only chunk");
  expect([at > before, at <= (await operationTime(settings.client))]).toEqual([true, true]);
});

async function operationTime(client: MongoClient): Promise<ReturnType<typeof clusterTime>> {
  const { operationTime: time } = await client.db("admin").command({ ping: 1 });
  return clusterTime(time.t, time.i);
}
