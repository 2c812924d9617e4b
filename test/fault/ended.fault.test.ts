import { beforeAll, describe, expect, test } from "bun:test";
import type { Collection, Db } from "mongodb";
import { type Line, linesIn, type Tap, tapAt } from "../cli/tap.ts";
import { testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";

interface Item {
  readonly _id: number;
}

let tap: Tap;
let db: Db;
let name: string;

beforeAll(async () => {
  const database = await testDatabase();
  ({ db, name } = database);
  tap = tapAt(database.uri);
});

/** What happens to a collection `c`, and what its end is called. */
const ENDS: readonly (readonly [what: string, says: string, end: (c: Collection<Item>) => Promise<unknown>])[] = [
  ["dropped", "was dropped", (c) => c.drop()],
  ["renamed", "was renamed to", (c) => c.rename(`${c.collectionName}_away`)],
  ["replaced by another that is renamed over it", "was replaced by renaming", replace],
];

async function replace(c: Collection<Item>): Promise<void> {
  const other = db.collection<Item>(`${c.collectionName}_other`);
  await other.insertOne({ _id: 500 });
  await other.rename(c.collectionName, { dropTarget: true });
}

describe("a collection that is", () => {
  test.each(ENDS)(
    "%s ends a tail with 7 behind its last change; the next run goes on with what comes after",
    async (what, says, end) => {
      await using dir = await tempDir();
      const collection = db.collection<Item>(`tail_${what.split(" ", 1)[0]}`);
      await collection.insertOne({ _id: 0 });
      const args = [
        "tail",
        `${name}.${collection.collectionName}`,
        "--out",
        dir.join("out"),
        "--state",
        dir.join("state"),
        "--until",
        "caught-up",
      ];
      await tap.expect(0, args);
      await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
      await end(collection);
      // Between runs it is recreated, and written to.
      await collection.insertMany([{ _id: 3 }, { _id: 4 }]);
      const { stderr } = await tap.expect(7, args);
      expect(stderr).toContain(says);
      expect(await ids(dir.join("out"))).toEqual([1, 2, "t"]);
      await tap.expect(0, args);
      await collection.insertOne({ _id: 5 });
      await tap.expect(0, args);
      expect(await ids(dir.join("out"))).toEqual([1, 2, "t", 3, 4, 5]);
    },
  );

  test("dropped and recreated three times is read one life per run: every document once, in order", async () => {
    await using dir = await tempDir();
    const collection = db.collection<Item>("phoenix");
    await collection.insertOne({ _id: 0 });
    const args = [
      "tail",
      `${name}.phoenix`,
      "--out",
      dir.join("out"),
      "--state",
      dir.join("state"),
      "--until",
      "caught-up",
    ];
    await tap.expect(0, args);
    for (let life = 1; life <= 3; life += 1) {
      await collection.insertOne({ _id: life });
      await collection.drop();
    }
    await collection.insertOne({ _id: 4 });
    for (let life = 1; life <= 3; life += 1) await tap.expect(7, args);
    await tap.expect(0, args);
    expect(await ids(dir.join("out"))).toEqual([1, "t", 2, "t", 3, "t", 4]);
  });

  test("dropped in a database that is bound as a whole ends nothing", async () => {
    await using dir = await tempDir();
    const database = await testDatabase();
    await database.db.collection("a").insertOne({ _id: 1 as never });
    const args = [
      "tail",
      database.name,
      "--out",
      dir.join("out"),
      "--state",
      dir.join("state"),
      "--until",
      "caught-up",
    ];
    await tap.expect(0, args);
    await database.db.collection("a").drop();
    await database.db.collection("b").insertOne({ _id: 2 as never });
    await tap.expect(0, args);
    expect(await ids(dir.join("out"))).toEqual(["t", 2]);
  });

  test("in a database that is dropped ends no tail of that database: it goes on with what is created later", async () => {
    await using dir = await tempDir();
    const database = await testDatabase();
    await database.db.collection("a").insertOne({ _id: 1 as never });
    const args = [
      "tail",
      database.name,
      "--out",
      dir.join("out"),
      "--state",
      dir.join("state"),
      "--until",
      "caught-up",
    ];
    await tap.expect(0, args);
    await database.db.collection("a").insertOne({ _id: 2 as never });
    await database.db.dropDatabase();
    await database.db.collection("a").insertOne({ _id: 3 as never });
    expect((await tap.expect(0, args)).stderr).toContain(`${database.name}.a was dropped`);
    await database.db.collection("a").insertOne({ _id: 4 as never });
    await tap.expect(0, args);
    expect(await ids(dir.join("out"))).toEqual([2, "t", 3, 4]);
  });
});

describe("a backfill whose collection is", () => {
  test("dropped and made again between two runs is refused with 7: half of each would be neither", async () => {
    await using dir = await tempDir();
    const collection = db.collection<Item>("halved");
    await collection.insertMany(Array.from({ length: 50 }, (_, _id) => ({ _id })));
    const args = ["backfill", `${name}.halved`, "--out", dir.join("out"), "--state", dir.join("state")];
    await tap.expect(12, [...args, "--limit", "20"]);
    await collection.drop();
    await collection.insertMany(Array.from({ length: 50 }, (_, _id) => ({ _id })));
    expect((await tap.expect(7, args)).stderr).toContain("was dropped or re-created");
    expect(await ids(dir.join("out.partial"))).toHaveLength(20);
    await tap.expect(0, [...args, "--fresh"]);
    expect(await ids(dir.join("out"))).toHaveLength(50);
  });
});

/** The keys of the lines, and `t` for the end of the collection. */
async function ids(path: string): Promise<unknown[]> {
  return (await linesIn(path)).map(({ _id, _meta }: Line) => (_meta?.op === "t" ? "t" : _id));
}
