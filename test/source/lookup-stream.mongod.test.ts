/** A stream with look-ups shows each update with exactly the version of its own event. */
import { describe, expect, test } from "bun:test";
import { BSON, type Document, MongoClient } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import type { StreamStart } from "../../src/source/stream-command.ts";
import { randomFor } from "../support/random.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { CLUSTERED } from "./kinds.ts";
import {
  eventsOf,
  exactly,
  type Key,
  openLookups,
  RandomWrites,
  readShown,
  type Shown,
  shownIn,
  type Version,
} from "./updates.ts";

const IMAGES = { changeStreamPreAndPostImages: { enabled: true } };
const { version } = await sharedReplicaSet();
const KEEPS_IMAGES = !version.startsWith("5.");

const CI = { collation: { locale: "en", strength: 2 } };
const NUMBERS = [[1], [2], [3], [4], [5]];

/** Where a stream begins that shows what is written from now on. */
async function now(database: TestDatabase, ...names: string[]): Promise<StreamStart> {
  await using stream = await openLookups(database, names);
  return stream.position;
}

/** All that has been written since `from`, which must be as many events as are expected. */
async function shownSince(
  database: TestDatabase,
  from: StreamStart,
  count: number,
  ...names: string[]
): Promise<Shown[]> {
  await using stream = await openLookups(database, names, from, KEEPS_IMAGES ? "whenAvailable" : "default");
  const shown = await readShown(stream, count);
  expect(shown).toHaveLength(count);
  return shown;
}

async function collectionOf(database: TestDatabase, options: Document = {}, name = "c") {
  return await database.db.createCollection<Version>(name, options);
}

describe("every update shows the version of its own event", () => {
  const kinds: [string, Document, Key[][]][] = [
    ["a plain collection", {}, NUMBERS],
    ["a collection with a collation", CI, [["a", "A"], ["b", "B"], ["c", "C"], [4]]],
    ...CLUSTERED.map((options): [string, Document, Key[][]] => [
      "a clustered collection",
      options,
      [["x"], [2], ["z"]],
    ]),
    ["a collection with keys of many types", {}, [[1], ["1"], [-1], ["$x"], [""]]],
  ];

  test.each(kinds)(
    "of %s, with deletes, inserts, replacements and transactions between",
    async (name, options, keys) => {
      const database = await testDatabase();
      const collection = await collectionOf(database, options);
      const from = await now(database, "c");
      const written = await new RandomWrites(database.client, collection, keys, randomFor(name)).write(500);
      const shown = await shownSince(database, from, written.length, "c");
      for (const [i, event] of written.entries()) expect(shown[i]).toEqual(event);
    },
  );

  test("of a hot key among others, thousands of them in one batch", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertMany(Array.from({ length: 100 }, (_, _id) => ({ _id, n: 0, inner: { n: 0 } })));
    const from = await now(database, "c");
    const counts = new Map<number, number>();
    const written = Array.from({ length: 5_000 }, (_, i) => {
      const _id = i % 5 === 0 ? 0 : i % 100;
      const n = (counts.get(_id) ?? 0) + 1;
      counts.set(_id, n);
      return exactly("update", _id, { _id, n, inner: { n } });
    });
    const update = { $inc: { n: 1, "inner.n": 1 } };
    const models = written.map(({ key }) => ({ updateOne: { filter: BSON.EJSON.parse(key) as Version, update } }));
    await collection.bulkWrite(models, { ordered: true });
    expect(await shownSince(database, from, written.length, "c")).toEqual(written);
  });

  test("with documents whose versions exceed a reply, of 16 MB each", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    const text = "x".repeat(6 * 1024 * 1024);
    await collection.insertMany([1, 2, 3, 4].map((_id) => ({ _id, n: 0, text })));
    const from = await now(database, "c");
    for (const n of [1, 2]) await collection.updateMany({}, { $set: { n } });
    const shown = await shownSince(database, from, 8, "c");
    expect(shown.map(({ key, document }) => [key, (BSON.EJSON.parse(document ?? "null") as Version)["n"]])).toEqual(
      [1, 2].flatMap((n) => [1, 2, 3, 4].map((_id) => [`{"_id":${_id}}`, n])),
    );
  });

  test("where a replacement has given the _id another type of number", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertOne({ _id: 1, n: 0 });
    const from = await now(database, "c");
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } });
    const other = BSON.Decimal128.fromString("1.00") as unknown as number;
    await collection.replaceOne({ _id: 1 }, { _id: other, n: 5 });
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } });
    expect(await shownSince(database, from, 3, "c")).toEqual([
      exactly("update", 1, { _id: 1, n: 1 }),
      exactly("update", 1, { _id: other, n: 5 }),
      exactly("update", other, { _id: other, n: 6 }),
    ]);
  });
});

describe("several events of one document in one transaction", () => {
  test("share a time: its updates show the last version, and none where it is deleted, which is noted", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertMany([1, 2, 3].map((_id) => ({ _id, n: 0 })));
    const from = await now(database, "c");
    await database.client.withSession((session) =>
      session.withTransaction(async () => {
        for (const _id of [1, 2, 3]) await collection.updateOne({ _id }, { $inc: { n: 1 } }, { session });
        await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session });
        await collection.deleteOne({ _id: 2 }, { session });
        await collection.deleteOne({ _id: 3 }, { session });
        await collection.insertOne({ _id: 3, n: 9 }, { session });
      }),
    );
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } });
    const deleted = { ...exactly("update", 2), note: "deleted" } as const;
    expect(await shownSince(database, from, 8, "c")).toEqual([
      exactly("update", 1, { _id: 1, n: 2 }),
      deleted,
      exactly("update", 3, { _id: 3, n: 9 }),
      exactly("update", 1, { _id: 1, n: 2 }),
      exactly("delete", 2),
      exactly("delete", 3),
      exactly("insert", 3, { _id: 3, n: 9 }),
      exactly("update", 1, { _id: 1, n: 3 }),
    ]);
  });
});
