/** A stream with look-ups shows each update with exactly the version of its own event. */
import { describe, expect, test } from "bun:test";
import { BSON, type Collection, type Document, MongoClient, MongoServerError } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { must } from "../../src/errors.ts";
import type { EventStream, StreamPosition } from "../../src/source/record.ts";
import { unsentEvents } from "../../src/source/unsent-events.ts";
import type { FullDocument, StreamStart } from "../../src/source/stream-command.ts";
import { randomFor } from "../support/random.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";
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
  await using stream = await openLookups(database, names, from, {
    fullDocument: KEEPS_IMAGES ? "whenAvailable" : "default",
  });
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

  test("of several collections at once, also where the stream resumes behind an event in the middle", async () => {
    const database = await testDatabase();
    const writes: RandomWrites[] = [];
    for (const name of ["c", "d"]) {
      const collection = await collectionOf(database, {}, name);
      writes.push(new RandomWrites(database.client, collection, NUMBERS, randomFor(name)));
    }
    const from = await now(database, "c", "d");
    const written: Shown[] = [];
    for (let i = 0; i < 8; i += 1) for (const each of writes) written.push(...(await each.write(10)));
    const whole = await shownSince(database, from, written.length, "c", "d");
    expect(whole).toEqual(written);
    for (const count of [1, 2, 3, 50, 51, 52]) {
      await using stream = await openLookups(database, ["c", "d"], from);
      const batch = await stream.next(1_000);
      const [head, rest] = stream.split(batch, count);
      expect([...shownIn(head), ...shownIn(rest)]).toEqual(whole.slice(0, batch.documents.count));
      const position = must(head.position.stream, "a position");
      expect(await shownSince(database, position, whole.length - count, "c", "d")).toEqual(whole.slice(count));
    }
  });

  test.each([1, 2, 3, 4, 5])(
    "also where the server ends its replies within a transaction: every %p events",
    async (most) => {
      const database = await testDatabase();
      const collection = await collectionOf(database);
      await collection.insertMany([1, 2, 3].map((_id) => ({ _id, n: 0 })));
      const from = await now(database, "c");
      const increment = async (...ids: number[]): Promise<Shown[]> => {
        const updates = ids.map((_id) => ({ updateOne: { filter: { _id }, update: { $inc: { n: 1 } } } }));
        await database.client.withSession((session) =>
          session.withTransaction(() => collection.bulkWrite(updates, { session })),
        );
        const documents = new Map((await collection.find().toArray()).map((one) => [one._id, one]));
        return ids.map((id) => exactly("update", id, must(documents.get(id), "a document")));
      };
      const written: Shown[] = [];
      for (const ids of [[1], [2], [3, 1, 2], [2], [1, 3, 2], [3], [3, 2]]) written.push(...(await increment(...ids)));
      await using stream = await openLookups(database, ["c"], from, { mostEvents: most });
      expect(await readShown(stream, written.length)).toEqual(written);
    },
  );

  test.each([0, 1, 2, 3, 4])("where the first events of a reply have been sent before: %p of 4", async (sent) => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertOne({ _id: 1, a: 0, b: 0 });
    const from = await now(database, "c");
    const updates: Document[] = [{ a: 1 }, { b: 1 }, { a: 2 }, { b: 2 }];
    const written: Shown[] = [];
    for (const $set of updates) {
      await collection.updateOne({ _id: 1 }, { $set });
      written.push(exactly("update", 1, must(await collection.findOne(), "the document")));
    }
    let sentUpTo = from as StreamPosition;
    if (sent > 0) {
      await using all = await openLookups(database, ["c"], from);
      const batch = await all.next(1_000);
      sentUpTo = must((sent === 4 ? batch : all.split(batch, sent)[0]).position.stream, "a position");
    }
    const unsent = (stream: EventStream) => unsentEvents(stream, new Map([[`${database.name}.c`, sentUpTo]]));
    await using stream = await openLookups(database, ["c"], from, { filter: unsent });
    expect(shownIn(await stream.next(1_000))).toEqual(written.slice(sent));
  });

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

describe("behind the end of its collection, an update shows its own version or none, and says so", () => {
  const drop = async (collection: Collection<Version>): Promise<unknown> => await collection.drop();
  const away = async (collection: Collection<Version>): Promise<unknown> => await collection.rename("away");
  const over = async (collection: Collection<Version>, { db }: TestDatabase): Promise<unknown> => {
    await db.collection<Version>("other").insertOne({ _id: 1, n: "other" });
    return await db.collection("other").rename("c", { dropTarget: true });
  };

  test.each([
    ["drop", drop],
    ["rename", away],
    ["rename over it", over],
  ] as const)("%s, and another collection of the name", async (_, end) => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertMany([1, 2].map((_id) => ({ _id, n: 0 })));
    // Of the whole database: the stream goes on behind the end of a collection.
    const from = await now(database);
    for (const n of [1, 2, 3]) await collection.updateOne({ _id: 1 }, { $set: { n } });
    await collection.updateOne({ _id: 2 }, { $set: { n: 1 } });
    await end(collection, database);
    if (end !== over) await collection.insertOne({ _id: 1, n: 10 });
    for (const n of [11, 12]) await collection.updateOne({ _id: 1 }, { $set: { n } });
    const shown = await shownSince(database, from, 8);
    const right = [1, 2, 3].map((n) => exactly("update", 1, { _id: 1, n }));
    right.push(exactly("update", 2, { _id: 2, n: 1 }));
    for (const [i, event] of shown.slice(0, 4).entries()) {
      const none = { ...right[i], document: undefined, note: "unavailable" };
      expect([right[i], none] as unknown[]).toContainEqual(event);
    }
    expect(shown.slice(-2)).toEqual([11, 12].map((n) => exactly("update", 1, { _id: 1, n })));
  });
});

describe("where the server cannot read the version any more", () => {
  test("updates of a capped collection show a version that may be newer, and are noted", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database, { capped: true, size: 1 << 20 });
    await collection.insertOne({ _id: 1, n: 0 });
    const from = await now(database, "c");
    for (const n of [1, 2, 3]) await collection.updateOne({ _id: 1 }, { $set: { n } });
    const newest = { ...exactly("update", 1, { _id: 1, n: 3 }), note: "mayBeNewer" } as const;
    const shown = await shownSince(database, from, 3, "c");
    expect(shown).toEqual([newest, newest, newest]);
  });

  test("updates outside of the snapshot window are noted: as they are now, or as unavailable where deleted", async () => {
    await using set = await startReplicaSet({
      members: 1,
      parameters: { minSnapshotHistoryWindowInSeconds: "0" },
    });
    await using client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
    const database = { client, name: "window", db: client.db("window"), uri: set.uri };
    const collection = await collectionOf(database);
    await collection.insertMany([1, 2].map((_id) => ({ _id, n: 0 })));
    const from = await now(database, "c");
    for (const n of [1, 2, 3]) await collection.updateOne({ _id: 1 }, { $set: { n } });
    await collection.updateOne({ _id: 2 }, { $set: { n: 1 } });
    await collection.deleteOne({ _id: 2 });
    // The oldest time that can be read moves on with later writes and checkpoints.
    const command = {
      find: "c",
      filter: {},
      readConcern: { level: "snapshot", atClusterTime: await timeOf(database) },
    };
    await waitFor(
      async () => {
        await client.db("window").collection("elsewhere").insertOne({});
        await client.db("admin").command({ fsync: 1 });
        return await database.db.command(command).then(
          () => false,
          (error: unknown) => error instanceof MongoServerError && error.code === 239,
        );
      },
      { what: "the history to go", timeoutMs: 30_000 },
    );
    const shown = await shownSince(database, from, 5, "c");
    const newest = { ...exactly("update", 1, { _id: 1, n: 3 }), note: "mayBeNewer" } as const;
    const none = { ...exactly("update", 2), note: "unavailable" } as const;
    expect(shown).toEqual([newest, newest, newest, none, exactly("delete", 2)]);
  });
});

test.if(KEEPS_IMAGES)("images that are switched on and off in the middle make no difference", async () => {
  const database = await testDatabase();
  const collection = await collectionOf(database);
  const writes = new RandomWrites(database.client, collection, NUMBERS, randomFor("images"));
  const from = await now(database, "c");
  // In a transaction an image is of its own event, not of the last.
  const written = await writes.write(50, 0);
  for (const enabled of [true, false, true, false]) {
    await database.db.command({ collMod: "c", changeStreamPreAndPostImages: { enabled } });
    written.push(...(await writes.write(50, 0)));
  }
  const shown = await shownSince(database, from, written.length, "c");
  for (const [i, event] of written.entries()) expect(shown[i]).toEqual(event);
});

test("the document is where the server puts that of its own look-up, byte for byte", async () => {
  const database = await testDatabase();
  const collection = await collectionOf(database);
  await collection.insertMany([1, 2].map((_id) => ({ _id, n: 0, text: "é" })));
  const from = await now(database, "c");
  await collection.updateMany({}, { $set: { n: 1, list: [{}] }, $unset: { text: "" } });
  await collection.insertOne({ _id: 3 });
  await collection.deleteOne({ _id: 3 });
  const read = async (fullDocument: FullDocument): Promise<string[]> => {
    await using stream = await openLookups(database, ["c"], from, { fullDocument });
    const events: string[] = [];
    while (events.length < 4) {
      const batch = await stream.next(100);
      events.push(...eventsOf(batch).map((bytes) => Buffer.from(bytes).toString("hex")));
    }
    return events;
  };
  const right = await read("updateLookup" as FullDocument);
  expect(await read("default")).toEqual(right);
  if (KEEPS_IMAGES) expect(await read("whenAvailable")).toEqual(right);
});

test("every update shows the version of its own event on 5.0 as well", async () => {
  await using set = await startReplicaSet({ members: 1, version: "5.0.32" });
  await using client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  const database = { client, name: "old", db: client.db("old"), uri: set.uri };
  const collection = await collectionOf(database);
  const from = await now(database, "c");
  const written = await new RandomWrites(client, collection, NUMBERS, randomFor("5.0")).write(300);
  await using stream = await openLookups(database, ["c"], from);
  const shown = await readShown(stream, written.length);
  for (const [i, event] of written.entries()) expect(shown[i]).toEqual(event);
});

/** The time of the last write. */
async function timeOf({ db }: TestDatabase): Promise<unknown> {
  const reply = await db.command({ ping: 1 });
  return reply["operationTime"];
}
