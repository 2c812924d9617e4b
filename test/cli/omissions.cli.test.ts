/** Whatever a run leaves out, or cannot show, it counts and reports at its end. */

import { beforeAll, describe, expect, test } from "bun:test";
import { Binary, type Collection, Decimal128, type Document, Long, MongoClient, ObjectId, UUID } from "mongodb";
import { failCommand } from "../support/fail-point.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { type Line, linesIn, linesOf, type Tap, tapAt } from "./tap.ts";

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

describe("a tail says why an update does not show the document that it left behind", () => {
  /** What the second of two runs prints, and its lines; `write` comes between them. */
  async function tailOver(
    name: string,
    write: (collection: Collection<Doc>) => Promise<unknown>,
    { options = {}, more = [] }: { options?: Document; more?: readonly string[] } = {},
  ): Promise<{ stderr: string; lines: Line[] }> {
    await using dir = await tempDir();
    const collection = await database.db.createCollection<Doc>(name, options);
    await collection.insertMany([1, 2].map((_id) => ({ _id, v: 0 })));
    const args = ["tail", `${database.name}.${name}`, "--until", "caught-up", ...more];
    const kept = [...args, "--state", dir.join("state"), "--out", dir.join("out")];
    await tap.expect(0, kept);
    await write(collection);
    const { stderr } = await tap.expect(0, kept);
    return { stderr, lines: await linesIn(dir.join("out")) };
  }

  const updateBoth = async (collection: Collection<Doc>): Promise<unknown> =>
    await collection.updateMany({}, { $inc: { v: 1 } });
  const inTransaction = async (collection: Collection<Doc>): Promise<unknown> =>
    await database.client.withSession((session) =>
      session.withTransaction(async () => {
        await collection.updateOne({ _id: 1 }, { $inc: { v: 1 } }, { session });
        await collection.deleteOne({ _id: 1 }, { session });
      }),
    );

  test("nothing where each shows it", async () => {
    const { stderr, lines } = await tailOver("shown_all", async (collection) => {
      for (let i = 0; i < 3; i += 1) await updateBoth(collection);
      await collection.deleteMany({});
    });
    expect(stderr).not.toContain("document");
    expect(lines.map(({ _id, v, _meta }) => [_id, v, _meta?.missing, _meta?.exact])).toEqual([
      ...[1, 2, 3].flatMap((v) => [1, 2].map((_id) => [_id, v, undefined, undefined])),
      ...[1, 2].map((_id) => [_id, undefined, undefined, undefined]),
    ]);
  });

  test("the same transaction deleted it", async () => {
    const { stderr, lines } = await tailOver("deleted", inTransaction);
    expect(stderr).toContain("1 update written without a document: the same transaction deleted it");
    expect(lines.map(({ _meta }) => [_meta?.op, _meta?.missing])).toEqual([
      ["u", "deleted"],
      ["d", undefined],
    ]);
  });

  test("--full-document none asks for none", async () => {
    const { stderr, lines } = await tailOver("not_asked", updateBoth, { more: ["--full-document", "none"] });
    expect(stderr).toContain("2 updates written without a document: --full-document none asks for none");
    expect(lines.map(({ _meta }) => _meta?.missing)).toEqual(["not_requested", "not_requested"]);
  });

  test("the version is no longer readable, and its collection is gone", async () => {
    const write = async (collection: Collection<Doc>): Promise<unknown> => {
      await updateBoth(collection);
      return await collection.rename("renamed_away");
    };
    await using dir = await tempDir();
    await database.db.createCollection("kept");
    const collection = await database.db.createCollection<Doc>("unreadable");
    await collection.insertMany([1, 2].map((_id) => ({ _id, v: 0 })));
    const args = [
      "tail",
      database.name,
      "--until",
      "caught-up",
      "--state",
      dir.join("state"),
      "--out",
      dir.join("out/"),
    ];
    await tap.expect(0, args);
    await write(collection);
    const { stderr } = await tap.expect(0, args);
    expect(stderr).toContain(
      "2 updates written without a document: the version could not be read any more, and the document or its collection is gone",
    );
  });

  test("a version that may be newer is marked: capped collections have no others", async () => {
    const write = async (collection: Collection<Doc>): Promise<unknown> => {
      await updateBoth(collection);
      return await updateBoth(collection);
    };
    const { stderr, lines } = await tailOver("capped", write, { options: { capped: true, size: 1 << 20 } });
    expect(stderr).toContain(
      "4 updates may show a newer document and are marked: the server could not read the version of the change any more",
    );
    expect(stderr.split("may show a newer document")).toHaveLength(2);
    expect(lines.map(({ v, _meta }) => [v, _meta?.exact])).toEqual([1, 2, 3, 4].map(() => [2, false]));
  });

  test.each([
    ["none", "1 update left out: the same transaction deleted it", undefined],
    ["flat", "1 update written without a document: the same transaction deleted it", '"__missing":"deleted"'],
    ["change", "1 update written without a document: the same transaction deleted it", '"missing":"deleted"'],
    ["debezium", "1 update written without a document: the same transaction deleted it", '"missing":"deleted"'],
  ])("also in the envelope %s", async (envelope, says, field) => {
    const { stderr, lines } = await tailOver(`in_${envelope}`, inTransaction, { more: ["--envelope", envelope] });
    expect(stderr).toContain(says);
    if (field === undefined) expect(lines).toEqual([]);
    else expect(JSON.stringify(lines[0])).toContain(field);
  });
});

describe("fields of a document that the envelope hides", () => {
  const UNLIKE = { _id: 3, inner: { _meta: 1, __op: 1 }, meta: 1, _metadata: 1, __v: 0, _m: 1, _mete: 1 };

  test.each([
    ["meta", "_meta"],
    ["flat", "__op"],
    ["flat", "_ts_ms"],
    ["flat", "__deleted"],
    ["flat", "_offset"],
  ])(
    "are counted by --envelope %s (%s), in copies and in changes, by one thread and by workers",
    async (envelope, field) => {
      const name = `hidden_${field}`;
      const collection = database.db.collection<Doc>(name);
      const start = Number((await database.db.command({ ping: 1 }))["operationTime"].t);
      await collection.insertMany([
        { _id: 1, [field]: "mine" },
        { _id: 2, long: "x".repeat(200_000), [field]: 1 },
        UNLIKE,
      ]);
      const args = [`${database.name}.${name}`, "--envelope", envelope];
      const says = `2 lines: the document has a field ${field} of its own, which --envelope ${envelope} hides; use --envelope change`;
      for (const workers of ["1", "2"]) {
        const { stderr } = await tap.expect(0, ["backfill", ...args, "--workers", workers]);
        expect(stderr).toContain(says);
        expect(stderr.split("of its own")).toHaveLength(2);
      }
      const tail = await tap.expect(0, ["tail", ...args, "--start-at", String(start), "--until", "caught-up"]);
      expect(tail.stderr).toContain(says);
    },
  );

  test("are not hidden by the envelopes that have the document in a field", async () => {
    await database.db.collection<Doc>("shown").insertOne({ _id: 1, _meta: 1, __op: 1, op: 1, key: 1 });
    for (const envelope of ["none", "change", "debezium", "raw"]) {
      const { stderr } = await tap.expect(0, ["backfill", `${database.name}.shown`, "--envelope", envelope]);
      expect(stderr).not.toContain("hides");
    }
  });
});

describe("--format plain with _ids that it may write alike", () => {
  const HEX = "65f0c0ffee0000000000abcd";
  const PLAIN = ["--format", "plain"];

  test.each<[string, readonly unknown[], string | undefined]>([
    ["an ObjectId and its text", [new ObjectId(HEX), HEX, "b"], "(1 objectId, 2 string)"],
    ["binary of two subtypes", [new Binary(Buffer.from("abc"), 0), new Binary(Buffer.from("abc"), 128)], "subtype"],
    ["a UUID and its base64", [new UUID(), "c//SZESzTGmQ6OfR38A11A=="], "binary of subtype 4, 1 string"],
    ["a decimal and its text", [Decimal128.fromString("1.5"), "1.5"], "1 decimal128, 1 string"],
    ["NaN and its text", [Number.NaN, "NaN"], "1 double, 1 string"],
    ["a date and its text", [new Date(0), "1970-01-01T00:00:00.000Z"], "1 date, 1 string"],
    ["a date and an ObjectId", [new Date(0), new ObjectId(HEX)], undefined],
    ["numbers and text", [1, 2.5, Long.MAX_VALUE, "1"], undefined],
    ["text alone", ["a", "b"], undefined],
  ])("%s", async (name, ids, says) => {
    const collection = `alike ${name}`;
    const start = Number((await database.db.command({ ping: 1 }))["operationTime"].t);
    await database.db.collection<Document>(collection).insertMany(ids.map((_id) => ({ _id: _id as ObjectId })));
    const args = [`${database.name}.${collection}`, ...PLAIN];
    const runs = [
      ["backfill", ...args, "--workers", "1"],
      ["backfill", ...args, "--workers", "2"],
      ["tail", ...args, "--start-at", String(start), "--until", "caught-up"],
    ];
    for (const run of runs) {
      const { stderr } = await tap.expect(0, run);
      const warned = stderr.split("\n").filter((line) => line.includes("may write two of them alike"));
      expect(warned).toHaveLength(says === undefined ? 0 : 1);
      if (says !== undefined) expect(warned[0]).toContain(says);
    }
  });

  test("says nothing for the formats that keep types apart", async () => {
    for (const format of ["relaxed", "canonical"]) {
      const args = ["backfill", `${database.name}.alike an ObjectId and its text`, "--format", format];
      expect((await tap.expect(0, args)).stderr).not.toContain("alike");
    }
  });
});
