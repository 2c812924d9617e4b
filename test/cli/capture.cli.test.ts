import { beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Collection } from "mongodb";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { type Line, linesIn, linesOf, type Tap, tapAt } from "./tap.ts";

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
});

/** The collection by the last line of each key: `_id` → the field `v`. */
function fold(lines: readonly Line[]): Map<unknown, unknown> {
  const documents = new Map<unknown, unknown>();
  for (const { _id, _meta, v } of lines) {
    if (_meta?.op === "d") documents.delete(_id);
    else documents.set(_id, v);
  }
  return documents;
}

async function contentOf(collection: Collection): Promise<Map<unknown, unknown>> {
  return new Map((await collection.find().toArray()).map((document) => [document._id, document["v"]]));
}

/** Per key the orders of its lines must grow: no line twice, none out of turn. */
function expectOrder(lines: readonly Line[]): void {
  const last = new Map<unknown, string>();
  for (const { _id, _meta } of lines) {
    const order = _meta?.order ?? "";
    const before = last.get(_id);
    if (before !== undefined && before >= order) throw new Error(`${String(_id)}: ${order} comes behind ${before}`);
    last.set(_id, order);
  }
}

test("capture writes what is there as snapshot lines, then what changes", async () => {
  const collection = database.db.collection<{ _id: number; v: number }>("plain");
  await collection.insertMany(Array.from({ length: 10 }, (_, i) => ({ _id: i, v: 0 })));
  await using dir = await tempDir();
  const args = ["capture", `${database.name}.plain`, "--out", dir.join("out"), "--state", dir.join("state")];
  await tap.expect(0, [...args, "--until", "caught-up"]);
  const copied = await linesIn(dir.join("out"));
  expect(copied.map(({ _id, _meta }) => [_id, _meta?.op, _meta?.snapshot])).toEqual(
    Array.from({ length: 10 }, (_, i) => [i, "c", true]),
  );
  await collection.updateOne({ _id: 3 }, { $set: { v: 1 } });
  await collection.deleteOne({ _id: 4 });
  await tap.expect(0, [...args, "--until", "caught-up"]);
  const lines = await linesIn(dir.join("out"));
  expect(lines.slice(10).map(({ _id, _meta }) => [_id, _meta?.op, _meta?.snapshot])).toEqual([
    [3, "u", undefined],
    [4, "d", undefined],
  ]);
  expectOrder(lines);
  expect(fold(lines)).toEqual(await contentOf(collection as never));
});

test("capture under writes: the last line of each key is the document in the collection, and sort keys grow", async () => {
  const collection = database.db.collection<{ _id: number; v: number }>("busy");
  await collection.insertMany(Array.from({ length: 3_000 }, (_, i) => ({ _id: i, v: -1 })));
  await using dir = await tempDir();
  const args = ["capture", `${database.name}.busy`, "--out", dir.join("out"), "--state", dir.join("state")];
  await using capture = tap.start(args);
  for (let v = 0; v < 150; v += 1) {
    const _id = (v * 7919) % 3_000;
    await collection.updateOne({ _id }, { $set: { v } });
    if (v % 3 === 0) await collection.deleteOne({ _id: (_id + 1) % 3_000 });
    if (v % 5 === 0) await collection.replaceOne({ _id: (_id + 2) % 3_000 }, { v }, { upsert: true });
  }
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position to be saved" });
  capture.kill("SIGTERM");
  expect((await capture.done).code).toBe(0);
  await tap.expect(0, [...args, "--until", "caught-up"]);
  const lines = await linesIn(dir.join("out"));
  expectOrder(lines);
  expect(fold(lines)).toEqual(await contentOf(collection as never));
});

test("capture is on its feet again after kill -9: the file is as if nothing had happened", async () => {
  const collection = database.db.collection("killed");
  await collection.insertMany([...documents("small", 4_000)]);
  await using dir = await tempDir();
  const args = ["capture", `${database.name}.killed`, "--out", dir.join("out"), "--state", dir.join("state")];
  for (const lifeMs of [100, 250, 450, 600]) {
    await using capture = tap.start(args);
    await Promise.race([capture.done, new Promise((resolve) => setTimeout(resolve, lifeMs))]);
    await collection.insertOne({ life: lifeMs });
    capture.kill("SIGKILL");
    expect((await capture.done).signal).toBe("SIGKILL");
  }
  await tap.expect(0, [...args, "--until", "caught-up"]);
  const lines = await linesIn(dir.join("out"));
  const keys = lines.map(({ _id }) => JSON.stringify(_id));
  // Inserted while it was being copied: once as a change, and perhaps once more in the copy, behind it.
  const snapshots = lines.filter(({ _meta }) => _meta?.snapshot).map(({ _id }) => JSON.stringify(_id));
  const changes = lines.filter(({ _meta }) => !_meta?.snapshot).map(({ _id }) => JSON.stringify(_id));
  expect(new Set(snapshots).size).toBe(snapshots.length);
  expect(new Set(changes).size).toBe(changes.length);
  expect(new Set(keys).size).toBe(4_004);
});

test("capture --limit writes exactly that number of lines, of collections and changes together", async () => {
  const { db, name } = await testDatabase();
  await db.collection("a").insertMany([...documents("small", 30)]);
  await db.collection("b").insertMany([...documents("small", 30)]);
  await using dir = await tempDir();
  const args = ["capture", name, "--out", dir.join("out"), "--state", dir.join("state")];
  await tap.expect(12, [...args, "--until", "caught-up", "--limit", "40"]);
  expect(await linesIn(dir.join("out"))).toHaveLength(40);
  await db.collection("a").insertMany([...documents("small", 30, 30)]);
  await tap.expect(0, [...args, "--limit", "35"]);
  expect(await linesIn(dir.join("out"))).toHaveLength(75);
  await tap.expect(0, [...args, "--until", "caught-up"]);
  const lines = await linesIn(dir.join("out"));
  expect(lines).toHaveLength(90);
  expectOrder(lines.map((line) => ({ ...line, _id: `${line._meta?.source.collection}${JSON.stringify(line._id)}` })));
});

test("capture of a database follows collections that come later, from their first document on", async () => {
  const { db, name } = await testDatabase();
  await db.collection("first").insertOne({ _id: 1 as never });
  await using dir = await tempDir();
  const args = ["capture", name, "--out", dir.join("out"), "--state", dir.join("state"), "--until", "caught-up"];
  await tap.expect(0, args);
  await db.collection("second").insertMany([{ _id: 1 as never }, { _id: 2 as never }]);
  await tap.expect(0, args);
  const told = (await linesIn(dir.join("out"))).map(({ _meta, _id }) => [_meta?.source.collection, _id]);
  expect(told).toEqual([
    ["first", 1],
    ["second", 1],
    ["second", 2],
  ]);
});

test("capture to stdout without a state copies, follows, and ends when asked to", async () => {
  const collection = database.db.collection<{ _id: number }>("piped");
  await collection.insertOne({ _id: 1 });
  await using capture = tap.start(["capture", `${database.name}.piped`]);
  await capture.waitForLine((line) => line.includes('"snapshot":true'));
  await collection.insertOne({ _id: 2 });
  await capture.waitForLine((line) => line.startsWith('{"_id":2'));
  capture.kill("SIGTERM");
  const { code, stdout } = await capture.done;
  expect(code).toBe(0);
  expect(linesOf(stdout).map((line) => line._id)).toEqual([1, 2]);
});
