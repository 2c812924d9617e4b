import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Collection, Document } from "mongodb";
import type { RunningCli } from "../support/cli.ts";
import { must } from "../../src/errors.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { type Line, linesIn, linesOf, type Tap, tapAt } from "./tap.ts";

interface Doc extends Document {
  readonly _id: number | string;
}

let database: TestDatabase;
let tap: Tap;
let collections = 0;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
});

/** A collection that exists, and its full name. */
async function newCollection(): Promise<{ collection: Collection<Doc>; name: string }> {
  collections += 1;
  await database.db.createCollection(`c${collections}`);
  return { collection: database.db.collection<Doc>(`c${collections}`), name: `${database.name}.c${collections}` };
}

/** A running tail with a saved state: it writes all changes from now on. */
async function startTail(dir: TempDir, args: readonly string[]): Promise<RunningCli> {
  const tail = tap.start(["tail", ...args, "--state", dir.join("state")]);
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position to be saved" });
  return tail;
}

function opsOf(lines: readonly Line[]): (readonly [string | undefined, unknown])[] {
  return lines.map(({ _meta, _id }) => [_meta?.op, _id]);
}

test("tail writes inserts, updates, replacements and deletes in order, until --limit", async () => {
  const { collection, name } = await newCollection();
  await using dir = await tempDir();
  await using tail = await startTail(dir, [name, "--limit", "5"]);
  await collection.insertOne({ _id: 1, a: 1 });
  await collection.updateOne({ _id: 1 }, { $set: { b: 2 } });
  await collection.insertOne({ _id: "two" });
  await collection.replaceOne({ _id: 1 }, { c: 3 });
  await collection.deleteOne({ _id: "two" });
  await collection.insertOne({ _id: "beyond the limit" });
  const { code, stdout } = await tail.done;
  expect(code).toBe(0);
  const lines = linesOf(stdout);
  expect(opsOf(lines)).toEqual([
    ["c", 1],
    ["u", 1],
    ["c", "two"],
    ["u", 1],
    ["d", "two"],
  ]);
  const orders = lines.map(({ _meta }) => _meta?.order ?? "");
  expect(orders).toEqual([...new Set(orders)].toSorted());
  expect(lines[3]).toMatchObject({ _id: 1, c: 3 });
  expect(lines[4]).toEqual({ _id: "two", _meta: expect.any(Object) });
});

test("a line comes as soon as the change is there, not when a second is over", async () => {
  const { collection, name } = await newCollection();
  await using dir = await tempDir();
  await using tail = await startTail(dir, [name]);
  for (let i = 0; i < 3; i += 1) {
    await collection.insertOne({ _id: i });
    await tail.waitForLine((line) => (JSON.parse(line) as Line)._id === i, 5_000);
  }
});

test("tail --until caught-up writes all changes since the last run, once, and ends with 0", async () => {
  const { collection, name } = await newCollection();
  await using dir = await tempDir();
  const args = ["tail", name, "--state", dir.join("state"), "--out", dir.join("out"), "--until", "caught-up"];
  await tap.expect(0, args);
  expect(await linesIn(dir.join("out"))).toEqual([]);
  for (const run of [1, 2]) {
    await collection.insertMany(Array.from({ length: 300 }, (_, i) => ({ _id: run * 1_000 + i })));
    await tap.expect(0, args);
  }
  const expected = [1, 2].flatMap((run) => Array.from({ length: 300 }, (_, i) => run * 1_000 + i));
  expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(expected);
});

test("tail --until caught-up with --limit ends with 12 where the limit came first, and the next run goes on", async () => {
  const { collection, name } = await newCollection();
  await using dir = await tempDir();
  const args = ["tail", name, "--state", dir.join("state"), "--out", dir.join("out"), "--until", "caught-up"];
  await tap.expect(0, args);
  await collection.insertMany(Array.from({ length: 50 }, (_, i) => ({ _id: i })));
  await tap.expect(12, [...args, "--limit", "20"]);
  expect(await linesIn(dir.join("out"))).toHaveLength(20);
  await tap.expect(0, args);
  expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(Array.from({ length: 50 }, (_, i) => i));
});

test("tail --for ends with 0 when the time is over", async () => {
  const { name } = await newCollection();
  const { ms, stdout } = await tap.expect(0, ["tail", name, "--for", "700ms"]);
  expect(stdout).toBe("");
  expect(ms).toBeGreaterThanOrEqual(700);
});

describe("tail --start-at", () => {
  test("a time writes the changes from that second on", async () => {
    const { collection, name } = await newCollection();
    await collection.insertOne({ _id: "old" });
    const { insertedAt } = await atTheNextSecond(collection);
    for (const time of [String(insertedAt), new Date(insertedAt * 1_000).toISOString()]) {
      const { stdout } = await tap.expect(0, ["tail", name, "--start-at", time, "--until", "caught-up"]);
      expect(linesOf(stdout).map((line) => line._id)).toEqual(["new"]);
    }
  });

  test("a token writes the changes after that event", async () => {
    const { collection, name } = await newCollection();
    await using dir = await tempDir();
    await using tail = await startTail(dir, [name, "--envelope", "raw", "--limit", "1"]);
    await collection.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
    const [event] = linesOf((await tail.done).stdout);
    const { _data: data } = must(event, "an event")._id as { _data: string };
    for (const token of [data, JSON.stringify({ _data: data })]) {
      const { stdout } = await tap.expect(0, ["tail", name, "--start-at", token, "--until", "caught-up"]);
      expect(linesOf(stdout).map((line) => line._id)).toEqual([2, 3]);
    }
  });

  test("is for a new tail: a state that is there wins", async () => {
    const { collection, name } = await newCollection();
    await using dir = await tempDir();
    await collection.insertOne({ _id: "before" });
    const args = ["tail", name, "--state", dir.join("state"), "--out", dir.join("out"), "--until", "caught-up"];
    await tap.expect(0, args);
    await collection.insertOne({ _id: "after" });
    const before = String(Math.floor(Date.now() / 1_000) - 600);
    await tap.expect(0, [...args, "--start-at", before]);
    expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(["after"]);
  });
});

/** Inserts "new" in a second in which nothing else was inserted before; resolves to that second. */
async function atTheNextSecond(collection: Collection<Doc>): Promise<{ insertedAt: number }> {
  const hello = async (): Promise<number> => {
    const reply = await database.db.command({ ping: 1 });
    return (reply["operationTime"] as { getHighBitsUnsigned(): number }).getHighBitsUnsigned();
  };
  const before = await hello();
  const other = database.db.collection("clock");
  // Cluster time moves with writes only.
  await waitFor(async () => (await other.insertOne({})) && (await hello()) > before, { what: "the next second" });
  await collection.insertOne({ _id: "new" });
  return { insertedAt: before + 1 };
}

test("the operations of a transaction come in their order, each with an order of its own", async () => {
  const { collection, name } = await newCollection();
  await using dir = await tempDir();
  await using tail = await startTail(dir, [name, "--limit", "20"]);
  await database.client.withSession((session) =>
    session.withTransaction(async () => {
      for (let i = 0; i < 20; i += 1) await collection.insertOne({ _id: i }, { session });
    }),
  );
  const lines = linesOf((await tail.done).stdout);
  expect(lines.map((line) => line._id)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  const orders = lines.map(({ _meta }) => _meta?.order ?? "");
  expect(new Set(orders.map((order) => order.slice(0, 16))).size).toBe(1);
  expect(orders).toEqual([...new Set(orders)].toSorted());
});

test("tail of a database writes the changes of all its collections, including later ones, and of no other", async () => {
  const { db, name } = await testDatabase();
  await db.createCollection("one");
  await using dir = await tempDir();
  await using tail = await startTail(dir, [name, "--limit", "2"]);
  await database.db.collection("elsewhere").insertOne({});
  await db.collection("one").insertOne({});
  await db.collection("later").insertOne({});
  const sources = linesOf((await tail.done).stdout).map(({ _meta }) => _meta?.source);
  expect(sources).toEqual([
    { db: name, collection: "one" },
    { db: name, collection: "later" },
  ]);
});

test("tail of two databases writes the changes of both in one order", async () => {
  const [one, two] = [await testDatabase(), await testDatabase()];
  for (const { db } of [one, two]) await db.createCollection("c");
  await using dir = await tempDir();
  await using tail = await startTail(dir, [`${one.name}.c`, two.name, "--limit", "3"]);
  for (const { db } of [two, one, two]) await db.collection("c").insertOne({});
  const told = linesOf((await tail.done).stdout).map(({ _meta }) => _meta?.source.db);
  expect(told).toEqual([two.name, one.name, two.name]);
});

test("a quiet collection keeps its position: it moves on with what is written elsewhere", async () => {
  const { collection, name } = await newCollection();
  await using dir = await tempDir();
  const args = ["tail", name, "--state", dir.join("state"), "--out", dir.join("out"), "--until", "caught-up"];
  const timeOf = async (): Promise<string> => {
    const state = (await Bun.file(dir.join("state")).json()) as { position: { stream: { time: string } } };
    return state.position.stream.time;
  };
  await tap.expect(0, args);
  const before = await timeOf();
  await database.db.collection("elsewhere").insertMany(Array.from({ length: 10 }, () => ({})));
  await tap.expect(0, args);
  expect((await timeOf()) > before).toBe(true);
  await collection.insertOne({ _id: "at last" });
  await tap.expect(0, args);
  expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(["at last"]);
});
