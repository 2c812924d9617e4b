import { beforeAll, describe, expect, test } from "bun:test";
import { readdir, readFile, stat } from "node:fs/promises";
import { EJSON } from "bson";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { firstDifference, linesIn, linesOf, type Tap, tapAt, textLinesOf } from "./tap.ts";

/** More than one chunk. */
const COUNT = 3_000;

let database: TestDatabase;
let tap: Tap;
let orders: string;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  orders = `${database.name}.orders`;
  await database.db.collection("orders").insertMany([...documents("small", COUNT)].toReversed());
});

test("backfill writes each document once, in the order of _id, as the EJSON library would write it", async () => {
  const { stdout, stderr } = await tap.expect(0, ["backfill", orders, "--format", "canonical"]);
  const expected = [...documents("small", COUNT)].map((document) => EJSON.stringify(document, { relaxed: false }));
  expect(firstDifference(textLinesOf(stdout), expected)).toBeUndefined();
  expect(stderr).toMatch(/^mongotap: 3,000 documents, .* → standard output\n$/);
});

test("backfill --out FILE writes the bytes that would go to stdout, and only complete files have that name", async () => {
  await using dir = await tempDir();
  const { stdout } = await tap.expect(0, ["backfill", orders]);
  await tap.expect(0, ["backfill", orders, "--out", dir.join("orders.ndjson")]);
  expect(await readFile(dir.join("orders.ndjson"), "utf8")).toBe(stdout);
  expect(await readdir(dir.path)).toEqual(["orders.ndjson"]);
});

test("backfill on a complete state copies nothing again and warns of that, and --fresh copies everything", async () => {
  await using dir = await tempDir();
  const args = ["backfill", orders, "--out", dir.join("out"), "--state", dir.join("state")];
  await tap.expect(0, args);
  const { mtime } = await stat(dir.join("state"));
  const again = await tap.expect(0, [...args, "--log-level", "warn"]);
  expect(again.stderr).toBe(
    `mongotap: everything has been copied already to ${dir.join("out")} by a run that ended at ${mtime.toISOString().slice(0, 19)}Z: this run copied nothing; --fresh copies it again\n`,
  );
  expect(await linesIn(dir.join("out"))).toHaveLength(COUNT);
  await tap.expect(0, [...args, "--fresh"]);
  expect(await linesIn(dir.join("out"))).toHaveLength(COUNT);
});

describe("backfill --limit", () => {
  test("writes exactly that number of documents, and ends with 0", async () => {
    for (const limit of [1, 999, 1_000, 1_001]) {
      const { stdout } = await tap.expect(0, ["backfill", orders, "--limit", String(limit)]);
      expect(textLinesOf(stdout)).toHaveLength(limit);
    }
  });

  test("without a state gives the file its name: it is all that was asked for", async () => {
    await using dir = await tempDir();
    await tap.expect(0, ["backfill", orders, "--limit", "7", "--out", dir.join("sample")]);
    expect(await readdir(dir.path)).toEqual(["sample"]);
    expect(await linesIn(dir.join("sample"))).toHaveLength(7);
  });

  test("on a state ends with 12 while there is more, and the next run goes on, until the file is whole", async () => {
    await using dir = await tempDir();
    const args = ["backfill", orders, "--out", dir.join("out"), "--state", dir.join("state")];
    for (const total of [1_100, 2_200]) {
      const { stderr } = await tap.expect(12, [...args, "--limit", "1100"]);
      expect(stderr).toContain("Run again with the same --state to go on.");
      expect(await linesIn(dir.join("out.partial"))).toHaveLength(total);
    }
    await tap.expect(0, [...args, "--limit", "1100"]);
    const { stdout } = await tap.expect(0, ["backfill", orders]);
    expect(await readFile(dir.join("out"), "utf8")).toBe(stdout);
  });
});

test("backfill of several namespaces writes each collection once, in the order they were named", async () => {
  await database.db.collection("second").insertOne({ _id: 2 as never });
  const { stdout } = await tap.expect(0, [
    "backfill",
    `${database.name}.second`,
    database.name,
    orders,
    "--envelope",
    "meta",
  ]);
  const sources = linesOf(stdout).map((line) => line._meta?.source.collection);
  expect(sources[0]).toBe("second");
  expect(sources.filter((name) => name === "second")).toHaveLength(1);
  expect(sources.filter((name) => name === "orders")).toHaveLength(COUNT);
});

test("backfill reads views, time series, capped and clustered collections", async () => {
  const { db, name } = await testDatabase();
  await db.collection("all").insertMany([...documents("small", 50)]);
  await db.createCollection("some", { viewOn: "all", pipeline: [{ $match: { sequence: { $lt: 5 } } }] });
  await db.createCollection("weather", { timeseries: { timeField: "at" } });
  await db.collection("weather").insertMany([{ at: new Date(0) }, { at: new Date(1_000) }]);
  await db.createCollection("ring", { capped: true, size: 1 << 16 });
  await db.collection("ring").insertMany([...documents("small", 40)]);
  await db.createCollection("tree", { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await db.collection("tree").insertMany([...documents("small", 30)]);
  // A view of a database that is bound as a whole would repeat what its collections say: it is read where it is named.
  const { stdout } = await tap.expect(0, ["backfill", name, `${name}.some`, "--envelope", "meta"]);
  const counts: Record<string, number> = {};
  for (const { _meta } of linesOf(stdout))
    counts[_meta?.source.collection ?? ""] = (counts[_meta?.source.collection ?? ""] ?? 0) + 1;
  expect(counts).toEqual({ all: 50, ring: 40, some: 5, tree: 30, weather: 2 });
});

test("backfill of an empty collection makes an empty file", async () => {
  await using dir = await tempDir();
  await database.db.createCollection("empty");
  await tap.expect(0, ["backfill", `${database.name}.empty`, "--out", dir.join("empty")]);
  expect(await readFile(dir.join("empty"), "utf8")).toBe("");
});

test("backfill --allow-missing of a collection that does not exist makes no line, and no error", async () => {
  const { stdout } = await tap.expect(0, ["backfill", `${database.name}.nowhere`, "--allow-missing"]);
  expect(stdout).toBe("");
});
