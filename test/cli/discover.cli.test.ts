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

interface Listed {
  readonly db: string;
  readonly collection: string;
  readonly bytes: number | null;
}

/** The collections in the JSON that discover printed. */
function listedIn({ stdout }: CliResult): readonly Listed[] {
  return (JSON.parse(stdout) as { collections: Listed[] }).collections;
}

test("discover --as json has the type, count, size and properties of each collection", async () => {
  const result = await tap.expect(0, ["discover", database.name, "--as", "json"]);
  const rows = Object.fromEntries(listedIn(result).map((row) => [row.collection, row]));
  expect(result.stderr).toBe("");
  expect(Object.keys(rows)).toEqual(["empty", "orders", "paid", "ring", "watched", "weather"]);
  const plain = { db: database.name, type: "collection", capped: false, images: false };
  const uuid = expect.stringMatching(/^[0-9a-f]{32}$/);
  expect(rows["orders"]).toMatchObject({ ...plain, documents: 1200, uuid });
  expect(rows["orders"]?.bytes).toBeGreaterThan(1200 * 150);
  expect(rows["empty"]).toMatchObject({ ...plain, documents: 0, bytes: 0, uuid });
  expect(rows["ring"]).toMatchObject({ ...plain, capped: true });
  expect(rows["watched"]).toMatchObject({ ...plain, images: true });
  expect(rows["paid"]).toMatchObject({ type: "view", documents: null, bytes: null, uuid: null });
  expect(rows["weather"]).toMatchObject({ type: "timeseries" });
});

test("discover --as json has one line for each collection, so that grep works", async () => {
  const { stdout } = await tap.expect(0, ["discover", database.name, "--as", "json"]);
  const lines = stdout.split("\n").filter((line) => line.includes('"collection":"orders"'));
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]?.replace(/,$/, "") ?? "")).toMatchObject({ collection: "orders", documents: 1200 });
});

test("discover prints a table for people, by default", async () => {
  const { stdout } = await tap.expect(0, ["discover", database.name]);
  const [header = "", ...rows] = stdout.trimEnd().split("\n");
  expect(header).toMatch(/^NAMESPACE +TYPE +DOCUMENTS +SIZE .*NOTES$/);
  expect(rows.pop()).toBe("6 collections");
  const orders = rows.find((row) => row.includes(".orders ")) ?? "";
  expect(orders).toMatch(new RegExp(`^${database.name}\\.orders +collection +1,200 +\\d+\\.\\d kB\\b`));
  expect(orders.indexOf("1,200") + 5).toBe(header.indexOf("DOCUMENTS") + 9);
  expect(rows.find((row) => row.includes(".paid "))).toMatch(/ view +- +- /);
  expect(rows.find((row) => row.includes(".ring "))).toMatch(/ capped$/);
});

test("discover takes collections and databases, and lists what fits", async () => {
  const { name } = database;
  const result = await tap.expect(0, ["discover", `${name}.orders`, `${name}.ring`, "--as", "json"]);
  expect(listedIn(result).map((row) => row.collection)).toEqual(["orders", "ring"]);
});

test("discover without a namespace lists all databases but the server's own", async () => {
  const listed = listedIn(await tap.expect(0, ["discover", "--sample", "0", "--as", "json"]));
  const databases = new Set(listed.map((row) => row.db));
  expect(databases).toContain(database.name);
  for (const own of ["admin", "local", "config"]) expect(databases).not.toContain(own);
});

test("discover of what is not there says so, prints an empty list, and ends with 0", async () => {
  const result = await tap.expect(0, ["discover", "nothing_of_that_name", "--as", "json"]);
  expect(listedIn(result)).toEqual([]);
  expect(result.stderr).toBe("mongotap: nothing found\n");
});
