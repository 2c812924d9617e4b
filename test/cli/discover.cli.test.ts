import { beforeAll, expect, test } from "bun:test";
import type { CliResult } from "../support/cli.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type Tap, tapAt } from "./tap.ts";

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  const { db } = database;
  await db.collection("orders").insertMany([...documents("small", 1_200)]);
  await db.createCollection("empty");
  await db.createCollection("ring", { capped: true, size: 1 << 16 });
  await db.createCollection("watched", { changeStreamPreAndPostImages: { enabled: true } });
  await db.createCollection("paid", { viewOn: "orders", pipeline: [{ $match: { state: "paid" } }] });
  await db.createCollection("weather", { timeseries: { timeField: "at" } });
});

/** The collections in the JSON that discover printed, by name. */
function found({ stdout }: CliResult): Record<string, Record<string, unknown>> {
  const rows = JSON.parse(stdout) as Record<string, unknown>[];
  return Object.fromEntries(rows.map((row) => [String(row["collection"]), row]));
}

test("discover --as json tells each collection's type, count, size and what is special about it", async () => {
  const result = await tap.expect(0, ["discover", database.name, "--as", "json"]);
  const rows = found(result);
  expect(result.stderr).toBe("");
  expect(Object.keys(rows)).toEqual(["empty", "orders", "paid", "ring", "watched", "weather"]);
  const plain = { db: database.name, type: "collection", capped: false, images: false };
  const uuid = expect.stringMatching(/^[0-9a-f]{32}$/);
  expect(rows["orders"]).toEqual({ ...plain, collection: "orders", documents: 1200, bytes: expect.any(Number), uuid });
  expect(rows["orders"]?.["bytes"]).toBeGreaterThan(1200 * 150);
  expect(rows["empty"]).toEqual({ ...plain, collection: "empty", documents: 0, bytes: 0, uuid });
  expect(rows["ring"]).toMatchObject({ capped: true });
  expect(rows["watched"]).toMatchObject({ images: true });
  expect(rows["paid"]).toMatchObject({ type: "view", documents: null, bytes: null, uuid: null });
  expect(rows["weather"]).toMatchObject({ type: "timeseries" });
});

test("discover --as json has one line for each collection, so that grep works", async () => {
  const { stdout } = await tap.expect(0, ["discover", database.name, "--as", "json"]);
  const lines = stdout.split("\n");
  expect(lines.at(0)).toBe("[");
  expect(lines.slice(-2)).toEqual(["]", ""]);
  expect(JSON.parse(lines[2]?.replace(/,$/, "") ?? "")).toMatchObject({ collection: "orders" });
});

test("discover prints a table for people, by default", async () => {
  const { stdout } = await tap.expect(0, ["discover", database.name]);
  const [header = "", ...rows] = stdout.trimEnd().split("\n");
  expect(header).toMatch(/^NAMESPACE +TYPE +DOCUMENTS +SIZE +NOTES$/);
  expect(rows.pop()).toBe("6 collections");
  const orders = rows.find((row) => row.includes(".orders ")) ?? "";
  expect(orders).toMatch(new RegExp(`^${database.name}\\.orders +collection +1,200 +\\d+\\.\\d kB$`));
  expect(orders.indexOf("1,200") + 5).toBe(header.indexOf("DOCUMENTS") + 9);
  expect(rows.find((row) => row.includes(".paid "))).toMatch(/ view +- +-$/);
  expect(rows.find((row) => row.includes(".ring "))).toMatch(/ capped$/);
});

test("discover takes collections and databases, and lists what fits", async () => {
  const { name } = database;
  const result = await tap.expect(0, ["discover", `${name}.orders`, `${name}.ring`, "--as", "json"]);
  expect(Object.keys(found(result))).toEqual(["orders", "ring"]);
});

test("discover without a namespace lists all databases but the server's own", async () => {
  const rows = JSON.parse((await tap.expect(0, ["discover", "--as", "json"])).stdout) as { db: string }[];
  const databases = new Set(rows.map((row) => row.db));
  expect(databases).toContain(database.name);
  for (const own of ["admin", "local", "config"]) expect(databases).not.toContain(own);
});

test("discover of what is not there says so, prints an empty list, and ends with 0", async () => {
  const { stdout, stderr } = await tap.expect(0, ["discover", "nothing_of_that_name", "--as", "json"]);
  expect(JSON.parse(stdout)).toEqual([]);
  expect(stderr).toBe("mongotap: nothing found\n");
});
