import { describe, expect, test } from "bun:test";
import { BSON, type Collection, type CommandStartedEvent, type Document, MongoClient } from "mongodb";
import { AdaptiveBatchSize } from "../../src/source/adaptive-batch.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import { ChangeStream, type StreamSettings } from "../../src/source/change-stream.ts";
import { type MongotapError, must } from "../../src/errors.ts";
import { BEGINNING, type Binding, type EventBatch, sortKeyTime, type StreamPosition } from "../../src/source/record.ts";
import { isHighWater, tokenData } from "../../src/source/resume-token.ts";
import type { StreamStart } from "../../src/source/stream-command.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { timeFrom } from "../support/states.ts";

interface Item {
  readonly _id: number;
}

const never = new AbortController().signal;

function settingsOf({ client, name }: TestDatabase, names: readonly string[] = ["c"]): StreamSettings {
  return {
    client,
    bindings: names.map((collection) => parseBinding(`${name}.${collection}`)),
    fullDocument: "default",
    beforeImages: false,
    splitLargeEvents: false,
    sharded: false,
    batchSize: new AdaptiveBatchSize(),
  };
}

function idsOf({ documents: { bytes, offsets } }: EventBatch): unknown[] {
  return offsets.map((offset) => {
    const length = new DataView(bytes.buffer, bytes.byteOffset + offset).getInt32(0, true);
    const event = BSON.deserialize(bytes.subarray(offset, offset + length));
    return (event["documentKey"] as Document | undefined)?.["_id"] ?? event["operationType"];
  });
}

/** As a state keeps it. */
function saved(position: StreamPosition): StreamPosition {
  return JSON.parse(JSON.stringify(position)) as StreamPosition;
}

/** Reads until so many events have come. */
async function read(stream: ChangeStream, count: number): Promise<EventBatch[]> {
  const batches: EventBatch[] = [];
  for (let left = count; left > 0;) {
    const batch = await stream.next(100);
    batches.push(batch);
    left -= batch.documents.offsets.length;
  }
  return batches;
}

async function collectionOf({ db }: TestDatabase): Promise<Collection<Item>> {
  await db.createCollection("c");
  return db.collection<Item>("c");
}

describe("ChangeStream", () => {
  test("knows its position before it has read anything, and tells all that is written from then on", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertOne({ _id: 0 });
    await using stream = await ChangeStream.open(settingsOf(database), "now", never);
    const from = saved(stream.position);
    await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
    expect((await read(stream, 2)).flatMap(idsOf)).toEqual([1, 2]);
    await using again = await ChangeStream.open(settingsOf(database), from, never);
    expect((await read(again, 2)).flatMap(idsOf)).toEqual([1, 2]);
  });

  test("goes on behind any event of any reply, with the same orders as an undisturbed one", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await using stream = await ChangeStream.open(settingsOf(database), "now", never);
    const begin = saved(stream.position);
    await collection.insertMany(Array.from({ length: 6 }, (_, _id) => ({ _id })));
    await database.client.withSession((session) =>
      session.withTransaction(async () => {
        for (let _id = 6; _id < 10; _id += 1) await collection.insertOne({ _id }, { session });
      }),
    );
    const batches = await read(stream, 10);
    const ids = batches.flatMap(idsOf);
    const sortKeys = batches.flatMap((batch) => batch.sortKeys);
    expect(sortKeys).toEqual([...new Set(sortKeys)].toSorted());
    for (let count = 0; count < 10; count += 1) {
      await using whole = await ChangeStream.open(settingsOf(database), begin, never);
      let from = begin;
      for (let left = count; left > 0;) {
        const batch = await whole.next(100);
        const length = batch.documents.offsets.length;
        const head = length > left ? whole.split(batch, left)[0] : batch;
        left -= length;
        from = saved(head.position.stream ?? from);
      }
      await using rest = await ChangeStream.open(settingsOf(database), from, never);
      const read10 = await read(rest, 10 - count);
      expect(read10.flatMap(idsOf)).toEqual(ids.slice(count));
      expect(read10.flatMap((batch) => batch.sortKeys)).toEqual(sortKeys.slice(count));
    }
  });

  test("moves on with what is written elsewhere: an empty reply brings a later position", async () => {
    const database = await testDatabase();
    await collectionOf(database);
    await using stream = await ChangeStream.open(settingsOf(database), "now", never);
    const before = stream.position;
    await database.db.collection("elsewhere").insertOne({});
    const batch = await stream.next(50);
    expect(batch.documents.offsets).toEqual([]);
    expect(stream.position.time > before.time).toBe(true);
    expect(isHighWater(tokenData(Buffer.from(stream.position.token, "base64")))).toBe(true);
  });

  test("has passed a time when all events up to it have been returned, not before", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await using stream = await ChangeStream.open(
      { ...settingsOf(database), batchSize: new AdaptiveBatchSize(1) },
      "now",
      never,
    );
    await database.client.withSession((session) =>
      session.withTransaction(async () => {
        for (let _id = 0; _id < 3; _id += 1) await collection.insertOne({ _id }, { session });
      }),
    );
    const passed: boolean[] = [];
    let time = BEGINNING;
    for (let i = 0; i < 3; i += 1) {
      const [batch] = await read(stream, 1);
      time = sortKeyTime(must(batch?.sortKeys[0], "a sort key"));
      passed.push(stream.hasPassed(time));
    }
    // All three are of one time: while one of them may still come, it has not been passed.
    expect(passed).toEqual([false, false, false]);
    await stream.next(50);
    expect(stream.hasPassed(time)).toBe(true);
  });

  test("passes the last operation of a quiet server without waiting for another", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertOne({ _id: 0 });
    await using stream = await ChangeStream.open(settingsOf(database), "now", never);
    const began = performance.now();
    while (!stream.hasPassed(stream.serverTime)) await stream.next(50);
    // The server writes a no-op every ten seconds: that was not waited for.
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test("tells nothing of collections that it is not bound to, but the end of its own", async () => {
    const database = await testDatabase();
    const collection = await collectionOf(database);
    await collection.insertOne({ _id: 0 });
    await using stream = await ChangeStream.open(settingsOf(database), "now", never);
    await database.db.collection("C").insertOne({});
    await database.db.collection("cc").insertOne({});
    await collection.insertOne({ _id: 1 });
    await collection.drop();
    expect((await read(stream, 2)).flatMap(idsOf)).toEqual([1, "drop"]);
    expect(stream.hasPassed(BEGINNING)).toBe(false);
    const thrown = await stream.next(50).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ kind: "ended", message: `the collection ${database.name}.c was dropped` });
  });

  const drop = (collection: Collection<Item>): Promise<unknown> => collection.drop();
  const rename = (collection: Collection<Item>): Promise<unknown> => collection.rename("other");

  test.each([
    ["drop", drop, ["c"]],
    ["drop", drop, ["c", "d"]],
    ["rename", rename, ["c"]],
    ["rename", rename, ["c", "d"]],
  ] as const)(
    "a stream goes on behind the %s that ended another, which was of one collection: %p, %j",
    async (operation, end, names) => {
      const database = await testDatabase();
      const collection = await collectionOf(database);
      await collection.insertOne({ _id: 0 });
      await using stream = await ChangeStream.open(settingsOf(database), "now", never);
      await end(collection);
      const [batch] = await read(stream, 1);
      expect(batch && idsOf(batch)).toEqual([operation]);
      const from = saved(stream.position);
      expect(from).toMatchObject({ resume: "resumeAfter", filter: [{ db: database.name, collection: "c" }] });
      await using again = await ChangeStream.open(settingsOf(database, names), from, never);
      // Several replies from which nothing comes: where it stands is good for another one, of more or less.
      for (let i = 0; i < 3; i += 1) expect(idsOf(await again.next(20))).toEqual([]);
      const idle = saved(again.position);
      await collection.insertOne({ _id: 1 });
      expect((await read(again, 1)).flatMap(idsOf)).toEqual([1]);
      for (const others of [["c"], ["c", "d"]]) {
        await using later = await ChangeStream.open(settingsOf(database, others), idle, never);
        expect((await read(later, 1)).flatMap(idsOf)).toEqual([1]);
      }
    },
  );

  test.each(["database", "cluster"] as const)(
    "a position in a stream of the %s has the bindings that its event needs, and any run can go on behind it",
    async (scope) => {
      const database = await testDatabase();
      const other = scope === "cluster" ? await testDatabase() : database;
      const names = Array.from({ length: 20 }, (_, i) => `c${i}`);
      const bindings = [
        ...names.map((name) => parseBinding(`${database.name}.${name}`)),
        parseBinding(`${other.name}.last`),
      ];
      const settings: StreamSettings = { ...settingsOf(database), bindings };
      await using stream = await ChangeStream.open(settings, "now", never);
      const ids = Array.from({ length: 40 }, (_, _id) => ({ _id }));
      await database.db.collection<Item>("c7").insertMany(ids);
      // Small replies end with the token of an event.
      const limited: StreamSettings = {
        ...settings,
        batchSize: { limit: 3, onReply: () => undefined, onTooSlow: () => undefined },
      };
      await using small = await ChangeStream.open(limited, saved(stream.position), never);
      const [first] = await read(small, 3);
      const at = saved(small.position);
      expect(isHighWater(tokenData(Buffer.from(at.token, "base64")))).toBe(false);
      expect(at.filter).toHaveLength(2);
      expect(at.filter?.[0]).toEqual({ db: database.name, collection: "c7" });
      expect(saved(must(first, "a batch").position.stream as StreamPosition)).toEqual(at);
      const [whole] = await read(stream, ids.length);
      const [head] = stream.split(must(whole, "a batch"), 2);
      expect(head.position.stream?.filter).toEqual(at.filter as []);
      const insertInto = async ({ db, collection = "" }: Binding, _id: number): Promise<void> => {
        await database.client.db(db).collection<Item>(collection).insertOne({ _id });
      };
      let id = 100;
      for (const bound of [bindings, bindings.slice(0, 2), bindings.slice(6, 8), bindings.slice(-1)]) {
        // Where nothing has moved on, it is saved again as it was.
        await using later = await ChangeStream.open({ ...settings, bindings: bound }, at, never);
        expect(saved(later.position)).toEqual(at);
        // What is bound no more is not returned. The server says that an event is hidden when it sees a later one.
        id += 1;
        await insertInto(must(bound[0], "a binding"), id);
        const found: unknown[] = [];
        while (found.at(-1) !== id) found.push(...idsOf(await later.next(100)));
        const hidden = bound.some(({ collection }) => collection === "c7") ? [] : ids.slice(3).map(({ _id }) => _id);
        expect(found.filter((each) => hidden.includes(each as number))).toEqual([]);
        if (hidden.length === 0) expect(found.slice(0, 37)).toEqual(ids.slice(3).map(({ _id }) => _id));
      }
      // That it needs this one: a server that filters early refuses to resume without it.
      const { filter: _, ...bare } = at;
      const { version } = (await database.client.db("admin").command({ buildInfo: 1 })) as { version: string };
      const without = async (): Promise<unknown> => {
        await using narrow = await ChangeStream.open({ ...settings, bindings: bindings.slice(0, 2) }, bare, never);
        for (;;) if (idsOf(await narrow.next(100)).length > 0) return "read";
      };
      const outcome = await without().catch((error: unknown) => (error as MongotapError).kind);
      expect(outcome).toBe(version.startsWith("5.") ? "read" : "history-lost");
    },
  );

  test("sends aggregate and getMore in one session, with majority reads and the simple collation, and kills its cursor", async () => {
    const database = await testDatabase();
    await collectionOf(database);
    await using client = await MongoClient.connect((await sharedReplicaSet()).uri, { monitorCommands: true });
    const sent: Document[] = [];
    client.on("commandStarted", ({ command, commandName }: CommandStartedEvent) => {
      if (commandName !== "ping" && commandName !== "hello") sent.push(command);
    });
    {
      await using stream = await ChangeStream.open({ ...settingsOf(database), client }, "now", never);
      await stream.next(10);
      await stream.next(10);
    }
    const [open, ...more] = sent.filter((command) => "aggregate" in command || "getMore" in command);
    expect(open).toMatchObject({
      readConcern: { level: "majority" },
      collation: { locale: "simple" },
      cursor: { batchSize: 0 },
    });
    expect(more).toHaveLength(2);
    const sessions = new Set([open, ...more].map((command) => BSON.EJSON.stringify((command as Document)["lsid"])));
    expect(sessions.size).toBe(1);
    expect(sent.at(-1)).toHaveProperty("killCursors");
  });

  test.each([
    ["a token that ends too early", { token: tokenOf("82ffffff"), time: "0".repeat(16) }, "state"],
    ["a token without a version", { token: tokenOf(past("")), time: past("").slice(2) }, "state"],
    ["a token of an unknown version", { token: tokenOf(past("2b0f29")), time: past("").slice(2) }, "state"],
    ["a token of an unknown kind", { token: tokenOf(past("2b022b07")), time: past("").slice(2) }, "state"],
    ["a token that is no hex", { token: tokenOf("82zz"), time: "0".repeat(16) }, "state"],
    ["an empty token", { token: tokenOf(""), time: "0".repeat(16) }, "state"],
    ["a token from the future", { token: tokenOf(future("2b0229296e04")), time: future("").slice(2) }, "state"],
    [
      "a token whose time is not that of the state",
      { token: tokenOf(future("2b0229296e04")), time: "6".repeat(16) },
      "state",
    ],
  ])("refuses %s, and never begins anew instead", async (_, position, kind) => {
    const database = await testDatabase();
    const from: StreamStart = { resume: "resumeAfter", sequence: 0, ...position, time: timeFrom(position.time) };
    const opening = ChangeStream.open(settingsOf(database), from, never);
    expect(await opening.catch((error: unknown) => error)).toMatchObject({ kind });
  });

  test("stops waiting for the server when its signal aborts, with the signal's reason", async () => {
    const database = await testDatabase();
    const stop = new AbortController();
    await using stream = await ChangeStream.open(settingsOf(database), "now", stop.signal);
    const reason = new Error("enough");
    const reading = stream.next(30_000).catch((error: unknown) => error);
    setTimeout(() => stop.abort(reason), 100);
    const began = performance.now();
    expect(await reading).toBe(reason);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

/** A resume token with this `_data`. */
function tokenOf(data: string): string {
  return Buffer.from(BSON.serialize({ _data: data.toUpperCase() })).toString("base64");
}

/** `82`, a time an hour ago, and what follows. */
function past(rest: string): string {
  return `82${(Math.floor(Date.now() / 1_000) - 3_600).toString(16).padStart(8, "0")}00000001${rest}`;
}

/** `82`, a time an hour from now, and what follows. */
function future(rest: string): string {
  return `82${(Math.floor(Date.now() / 1_000) + 3_600).toString(16).padStart(8, "0")}00000001${rest}`;
}
