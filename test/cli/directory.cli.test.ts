import { beforeAll, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { linesOf, type Tap, tapAt } from "./tap.ts";

/** Names that the server takes, and that a careless program would turn into other files than its own. */
const HOSTILE = [
  "a/../../escaped",
  "/etc/passwd",
  "a..b",
  "trailing.",
  "-rf",
  "~",
  "a/b",
  "a\\b",
  "con",
  "Users",
  "users",
  "naïve",
  "nai\u0308ve",
  "a\nb",
  "\u001b[31mred",
  "with space",
  "quote'\"`;rm -rf ~",
  "percent%2F",
  "orders.ndjson",
  "orders.ndjson.partial",
  "😀".repeat(20),
  "x".repeat(180),
] as const;

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  for (const name of HOSTILE) {
    await database.db.command({ insert: name, documents: [{ _id: 1, name }] });
  }
});

/** Every file below `folder` with its content. */
async function filesBelow(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(files.map(async (file) => [file, await readFile(file, "utf8")] as const)));
}

test("--out DIR/ has one file for each collection, whatever its name: all inside, none shared", async () => {
  await using dir = await tempDir();
  await tap.expect(0, ["backfill", database.name, "--out", `${dir.join("deep", "out")}/`]);
  const files = await filesBelow(dir.path);
  expect([...files.keys()].filter((path) => !/\/deep\/out\/[\w.~%-]+\.ndjson$/.test(path))).toEqual([]);
  const names = [...files.values()].flatMap((text) => linesOf(text).map((line) => String(line["name"])));
  expect(names.toSorted()).toEqual([...HOSTILE].toSorted());
  expect(files.size).toBe(HOSTILE.length);
});

test("--out DIR/ is appended to by the next run of a capture, each change in the file of its collection", async () => {
  const { db, name } = await testDatabase();
  await using dir = await tempDir();
  await db.collection("a/1").insertOne({ _id: 1 as never });
  await db.collection("b\n2").insertOne({ _id: 1 as never });
  const args = ["capture", name, "--out", `${dir.path}/out/`, "--state", dir.join("state"), "--until", "caught-up"];
  await tap.expect(0, args);
  await db.collection("b\n2").insertOne({ _id: 2 as never });
  await db.collection("a/1").deleteOne({ _id: 1 as never });
  await db.collection("new").insertOne({ _id: 1 as never });
  await tap.expect(0, args);
  const texts = [...(await filesBelow(dir.join("out"))).values()];
  const told = texts.map((text) => linesOf(text).map(({ _id, _meta }) => [_meta?.source.collection, _meta?.op, _id]));
  const expected = [
    [
      ["a/1", "c", 1],
      ["a/1", "d", 1],
    ],
    [
      ["b\n2", "c", 1],
      ["b\n2", "c", 2],
    ],
    [["new", "c", 1]],
  ];
  expect(told).toHaveLength(expected.length);
  expect(told).toEqual(expect.arrayContaining(expected));
});

test("messages show the names of collections without control characters", async () => {
  const { stderr } = await tap.expect(2, ["backfill", `${database.name}.\u001b[31mrad`]);
  expect(stderr).not.toContain("\u001b");
  expect(stderr).toContain("Did you mean");
});
