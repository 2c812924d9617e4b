/** Whatever a run leaves out, or cannot show, it counts and reports at its end. */

import { beforeAll, describe, expect, test } from "bun:test";
import { type Document, Long, MongoClient } from "mongodb";
import { failCommand } from "../support/fail-point.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { linesIn, linesOf, type Tap, tapAt } from "./tap.ts";

interface Doc extends Document {
  readonly _id: number;
}

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
});

describe("a backfill with documents that cannot be carried", () => {
  let bad: string;
  const ARRAYS = ["--arrays", "array"];

  beforeAll(async () => {
    bad = `${database.name}.bad`;
    const mixed = Array.from({ length: 10 }, (_, i) => ({ _id: i, list: i < 3 ? [1, "a"] : [1] }));
    await database.db.collection<Doc>("bad").insertMany(mixed);
  });

  test("reports how many it has skipped", async () => {
    const { stderr, stdout } = await tap.expect(0, ["backfill", bad, ...ARRAYS, "--on-bad-document", "skip"]);
    expect(stderr).toContain("3 documents that cannot be carried: left out");
    expect(linesOf(stdout)).toHaveLength(7);
  });

  test("reports how many it has put into the quarantine, and where that is", async () => {
    await using dir = await tempDir();
    const policy = `quarantine=${dir.join("aside")}`;
    const { stderr } = await tap.expect(0, ["backfill", bad, ...ARRAYS, "--on-bad-document", policy]);
    expect(stderr).toContain(`3 documents that cannot be carried: put into ${dir.join("aside")}`);
    expect(await linesIn(dir.join("aside"))).toHaveLength(3);
  });

  test("reports them also when an error ends it", async () => {
    await using client = await MongoClient.connect(database.uri);
    await database.db.collection<Doc>("later").insertOne({ _id: 1 });
    // The last find is that of the second collection; read ahead or not, the documents of the first come before.
    await using _failPoint = await failCommand(client, {
      failCommands: ["find"],
      errorCode: 13,
      skip: 3,
      appName: "mongotap",
    });
    const args = ["backfill", bad, `${database.name}.later`, ...ARRAYS, "--on-bad-document", "skip"];
    const { stderr } = await tap.expect(5, args);
    expect(stderr).toContain("3 documents that cannot be carried: left out");
  });
});

test("a tail without operations reports the deletes that it cannot show", async () => {
  await using dir = await tempDir();
  const collection = database.db.collection<Doc>("deletes");
  await collection.insertMany([1, 2, 3].map((_id) => ({ _id })));
  const args = ["tail", `${database.name}.deletes`, "--envelope", "none", "--until", "caught-up"];
  const kept = [...args, "--state", dir.join("state"), "--out", dir.join("out")];
  await tap.expect(0, kept);
  await collection.deleteMany({ _id: { $gt: 1 } });
  await collection.insertOne({ _id: 4, big: Long.MAX_VALUE });
  const { stderr } = await tap.expect(0, kept);
  expect(stderr).toContain("2 deletes left out: --envelope none cannot show them");
  expect((await linesIn(dir.join("out"))).map(({ _id }) => _id)).toEqual([4]);
});

test("a tail reports the updates whose document was gone when the server looked it up", async () => {
  await using dir = await tempDir();
  const collection = database.db.collection<Doc>("updates");
  await collection.insertOne({ _id: 1 });
  const args = ["tail", `${database.name}.updates`, "--full-document", "lookup", "--until", "caught-up"];
  const kept = [...args, "--state", dir.join("state"), "--out", dir.join("out")];
  await tap.expect(0, kept);
  await collection.updateOne({ _id: 1 }, { $set: { a: 1 } });
  await collection.deleteOne({ _id: 1 });
  const { stderr } = await tap.expect(0, kept);
  expect(stderr).toContain("1 update written without a document: the document was gone when the server looked it up");
});
