/** `mongotap discover --diff` exits with 11 on drift, and not by chance. */

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { type Tap, tapAt } from "../cli/tap.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir, type TempDir } from "../support/temp.ts";

interface Scene {
  readonly database: TestDatabase;
  readonly tap: Tap;
  /** The output of discover before the change. */
  readonly file: string;
}

/** A database with two collections, and its catalog. */
async function scene(dir: TempDir, ...namespaces: readonly string[]): Promise<Scene> {
  const database = await testDatabase();
  const tap = tapAt(database.uri);
  await database.db.collection("orders").insertMany([...documents("typical", 3_000)]);
  await database.db.collection("users").insertMany([...documents("small", 50)]);
  const names = namespaces.length === 0 ? [database.name] : namespaces.map((name) => `${database.name}.${name}`);
  const { stdout } = await tap.expect(0, ["discover", ...names, "--as", "json"]);
  const file = dir.join("before.json");
  await writeFile(file, stdout);
  return { database, tap, file };
}

test("without drift it exits with 0, whatever it samples", async () => {
  await using dir = await tempDir();
  const { tap, file } = await scene(dir);
  for (const sample of ["1000", "1000", "300", "3000"]) {
    const { stdout, stderr } = await tap.expect(0, ["discover", "--diff", file, "--sample", sample]);
    expect(stdout).toMatch(/^no drift since 20\S+Z in 2 collections\n$/);
    expect(stderr).toBe("");
  }
});

test("it prints drift of fields, types, collections and options, and exits with 11", async () => {
  await using dir = await tempDir();
  const { database, tap, file } = await scene(dir);
  const { db, name } = database;
  await db.collection("orders").updateMany({ order: { $mod: [3, 0] } }, { $set: { total: 12, "customer.vat": "X" } });
  await db.collection("orders").updateMany({}, { $unset: { coupon: "" } });
  await db.collection("users").drop();
  await db.createCollection("refunds");
  await db.command({ collMod: "orders", validator: { order: { $gte: 0 } } });
  const { stdout, stderr } = await tap.expect(11, ["discover", "--diff", file]);
  const rows = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.replaceAll(/ +/g, " "));
  expect(rows).toEqual([
    " NAMESPACE FIELD CHANGE",
    `~ ${name}.orders changed: validationAction, validationLevel, validator`,
    `- ${name}.orders coupon gone: was null (was in 1,000 of 1,000 documents)`,
    expect.stringMatching(
      new RegExp(`^\\+ ${name}\\.orders customer\\.vat new: string \\(in [234]\\d\\d of [\\d,]+ documents\\)$`),
    ),
    expect.stringMatching(
      new RegExp(`^~ ${name}\\.orders total now also int \\(in [234]\\d\\d of [\\d,]+ documents\\)$`),
    ),
    `+ ${name}.refunds new: collection`,
    `- ${name}.users gone: was collection`,
    expect.stringMatching(/^6 changes since 20\S+Z in 2 collections$/),
  ]);
  expect(stderr).toBe(`mongotap: 6 changes since ${file} was made\n`);
  const json = await tap.expect(11, ["discover", "--diff", file, "--as", "json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    collections: 2,
    changes: expect.arrayContaining([
      {
        collection: `${name}.refunds`,
        path: null,
        change: "added",
        what: ["collection"],
        documents: null,
        sampled: null,
      },
    ]),
  });
});

test("it compares the namespaces of the file, or the named ones, but none that only one side covers", async () => {
  await using dir = await tempDir();
  const { database, tap, file } = await scene(dir, "orders");
  await database.db.createCollection("refunds");
  expect((await tap.expect(0, ["discover", "--diff", file])).stdout).toContain("in 1 collection\n");
  expect((await tap.expect(0, ["discover", database.name, "--diff", file])).stdout).toContain("in 1 collection\n");
  expect((await tap.expect(0, ["discover", `${database.name}.users`, "--diff", file])).stdout).toContain(
    "in 0 collections\n",
  );
});

test("a missing file, or one that discover has not printed, is an error before any connection", async () => {
  await using dir = await tempDir();
  const tap = tapAt("mongodb://127.0.0.1:1/");
  const file = dir.join("other.json");
  await writeFile(file, "[]");
  const other = await tap.run(["discover", "--diff", file]);
  expect(other.code).toBe(2);
  expect(other.stderr).toStartWith(`mongotap: --diff ${file} cannot be compared with: it is incomplete\n`);
  const none = await tap.run(["discover", "--diff", dir.join("none.json")]);
  expect(none.code).toBe(2);
  expect(none.stderr).toContain("cannot be read (ENOENT)\n");
  const form = await tap.run(["discover", "--diff", file, "--as", "html"]);
  expect(form.code).toBe(2);
  expect(form.stderr).toStartWith("mongotap: --diff prints changes, which cannot be printed as html\n");
});
