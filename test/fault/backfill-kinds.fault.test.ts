/** Faults D1, D3–D5, D8, D13 of docs/reliability.md: keys and collections of every kind, copied chunk by chunk. */
import { beforeAll, expect, test } from "bun:test";
import { BSON, type Collection, type Document, Long } from "mongodb";
import type { RangeReadable } from "../../src/pipeline/backfill.ts";
import type { RangeProgress } from "../../src/source/record.ts";
import { documents, everyIdType, insertEveryIdType, randomOf } from "../support/documents.ts";
import { batch, MOCK_NOW, startMockServer } from "../support/mock-server.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { bsonOf } from "../support/reply.ts";
import { faultsOf } from "./support/oracle.ts";
import { captureOf, readableFrom } from "./support/pipeline.ts";
import { CLUSTERED } from "../source/kinds.ts";
import { trialOf } from "./support/trial.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

/** Reads one document, saves the position, forgets all else and resumes, like runs that are killed after each document. */
async function readOneByOne(collection: Collection): Promise<string[]> {
  const readable = await readableFrom(database.client, collection as never);
  const found: string[] = [];
  let progress: RangeProgress = { documents: 0, done: false };
  while (!progress.done) {
    for await (const chunk of readable.read(progress, new AbortController().signal, 1)) {
      const { bytes, offsets } = bsonOf(chunk);
      for (const offset of offsets)
        found.push(
          textOf(
            bytes.subarray(offset, offset + new DataView(bytes.buffer, bytes.byteOffset + offset, 4).getInt32(0, true)),
          ),
        );
      progress = JSON.parse(JSON.stringify(chunk.progress)) as RangeProgress;
    }
    if (found.length > 1_000) throw new Error("no end in sight");
  }
  return found;
}

function textOf(document: Uint8Array): string {
  return Buffer.from(document).toString("hex");
}

/** What is there, in the order of its bytes. */
async function contentOf(collection: Collection): Promise<string[]> {
  const all = await collection.find({}, { raw: true }).toArray();
  return all.map((document) => textOf(document as never as Uint8Array)).toSorted((a, b) => (a < b ? -1 : 1));
}

test("D1 keys of every BSON type, killed after each document: every document once, none forgotten", async () => {
  const collection = database.db.collection("types");
  await insertEveryIdType(collection);
  const found = await readOneByOne(collection);
  expect(found).toHaveLength(everyIdType.length);
  expect(found.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(await contentOf(collection));
  // What `$gt` would have made of it.
  const first = await collection
    .find({ _id: { $exists: true } })
    .sort({ _id: 1 })
    .skip(1)
    .limit(1)
    .next();
  const behind = await collection.countDocuments({ _id: { $gt: first?._id } } as Document);
  expect(behind).toBeLessThan(everyIdType.length - 2);
});

test("D3 D4 the same where the collection has a collation of its own, or is clustered, or capped", async () => {
  const strings = ["a", "A", "b", "B", "ä", "z", "10", "9", "1"].map((_id) => ({ _id }));
  const kinds: readonly (readonly [string, object, readonly { _id: string }[]])[] = [
    // Strings that are equal in a collation are one key.
    [
      "folded",
      { collation: { locale: "fr", strength: 2, numericOrdering: true } },
      strings.filter(({ _id }) => !/[AB]/.test(_id)),
    ],
    ...CLUSTERED.map((options) => ["clustered", options, strings] as const),
    ["capped", { capped: true, size: 100_000 }, strings],
  ];
  for (const [name, options, content] of kinds) {
    const collection = await database.db.createCollection<{ _id: string }>(name, options);
    await collection.insertMany([...content]);
    const found = await readOneByOne(collection as never);
    expect([name, found.toSorted((a, b) => (a < b ? -1 : 1))]).toEqual([name, await contentOf(collection as never)]);
  }
});

test("D4 nothing, one document, one of 16 MB, a view, a time series: all are copied", async () => {
  const { db, name, uri } = database;
  await db.createCollection("none");
  await db.collection<{ _id: number }>("one").insertOne({ _id: 1 });
  await db.collection("large").insertOne({ text: "x".repeat(16 * 1024 * 1024 - 100) });
  await db.createCollection("view", { viewOn: "one", pipeline: [{ $set: { seen: true } }] });
  await db.createCollection("series", { timeseries: { timeField: "t" } });
  await db.collection("series").insertMany([{ t: new Date(0) }, { t: new Date(1) }]);
  for (const [collection, count] of [
    ["none", 0],
    ["one", 1],
    ["large", 1],
    ["view", 1],
    ["series", 2],
  ] as const) {
    await using trial = await trialOf(uri, ["backfill", `${name}.${collection}`]);
    await trial.expect(0);
    expect([collection, (await trial.lines()).length]).toEqual([collection, count]);
  }
});

test("D4 documents of which two do not fit into one reply of 16 MB are all copied, by a backfill and a capture", async () => {
  const collection = database.db.collection<{ _id: number; text: string }>("huge");
  // Behind a document that fills a reply comes nothing, and that is not the end.
  const megabytes = [9, 9, 15, 0, 15.9, 15.9, 1, 9];
  for (const [_id, size] of megabytes.entries())
    await collection.insertOne({ _id, text: "x".repeat(size * 1024 * 1024) });
  const right = await readableFrom(database.client, collection as never);
  for (const command of ["backfill", "capture"] as const) {
    await using copy = captureOf(database.client, [right], undefined, command);
    copy.start();
    expect(await copy.done).toBe("finished");
    const lengths = copy.lines().map(({ text }) => (text as string).length / (1024 * 1024));
    expect(lengths.map((length) => Math.round(length * 10) / 10)).toEqual(megabytes);
  }
});

test("D5 D8 writes before and behind the copy while it runs: the output folds to the collection", async () => {
  const collection = database.db.collection<{ _id: number; v: number }>("raced");
  await collection.insertMany(Array.from({ length: 6_000 }, (_, i) => ({ _id: 2 * i, v: 0 })));
  const random = randomOf(11);
  const key = (): number => Math.floor(random() * 13_000);
  const right = await readableFrom(database.client, collection as never);
  const raced: RangeReadable = {
    ...right,
    async *read(...asked) {
      for await (const chunk of right.read(...asked)) {
        for (let i = 0; i < 25; i += 1) {
          await collection.updateOne({ _id: key() }, { $inc: { v: 1 } });
          await collection.deleteOne({ _id: key() });
          await collection.replaceOne({ _id: key() }, { v: -1 }, { upsert: true });
        }
        yield chunk;
      }
    },
  };
  // The server forgets snapshots as soon as it can: no chunk needs one for longer than its own command.
  const window = (seconds: number): Promise<unknown> =>
    database.client.db("admin").command({ setParameter: 1, minSnapshotHistoryWindowInSeconds: seconds });
  await window(0);
  try {
    await using capture = captureOf(database.client, [raced]);
    capture.start();
    expect(await capture.done).toBe("finished");
    await using rest = captureOf(database.client, [raced], capture.position);
    rest.start();
    expect(await rest.done).toBe("finished");
    expect(await faultsOf([...capture.lines(), ...rest.lines()], collection as never)).toEqual([]);
  } finally {
    await window(300);
  }
});

test("D13 keys that look like operators are sent back as the values they are", async () => {
  const collection = database.db.collection<{ _id: unknown }>("operators");
  const keys = ["$x", "$$ROOT", { a: 1, b: 2 }, { b: 2, a: 1 }, { "10": 1, "9": 2 }];
  await database.db.command({ insert: "operators", documents: keys.map((_id) => ({ _id })) });
  expect(await readOneByOne(collection as never)).toHaveLength(keys.length);
  // A server may hold what this one refuses.
  const odd = [{ $gt: 1 }, { a: { $literal: 1 } }, { "10": 1, "2": { $in: [] } }].map((_id) => ({ _id }));
  await using server = await startMockServer({
    on: {
      find: (_, count) => batch(odd.slice(count - 1, count), { id: Long.ZERO, atClusterTime: MOCK_NOW }, "firstBatch"),
    },
  });
  await using trial = await trialOf(server.uri, ["backfill", "shop.orders", "--limit", "3"]);
  await trial.run();
  const finds = server.commands.filter(({ name }) => name === "find");
  const sent = finds.slice(1, 3).map(({ command }) => BSON.EJSON.stringify(command["min"]));
  expect(sent).toEqual(odd.slice(0, 2).map((document) => BSON.EJSON.stringify(document)));
});

test("D1 D5 a capture of many documents in small chunks is whole, and none comes twice", async () => {
  const collection = database.db.collection("whole");
  await collection.insertMany([...documents("small", 3_000)]);
  await using capture = captureOf(database.client, [await readableFrom(database.client, collection as never)]);
  capture.start();
  expect(await capture.done).toBe("finished");
  expect(new Set(capture.lines().map(({ _id }) => JSON.stringify(_id))).size).toBe(3_000);
  expect(capture.lines()).toHaveLength(3_000);
});
