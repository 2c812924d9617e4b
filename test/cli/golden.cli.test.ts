import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import {
  Binary,
  BSON,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { expectGolden, names, type Normaliser, orders, times, tokens } from "./golden.ts";
import { linesOf, type Tap, tapAt } from "./tap.ts";
import { element, elementsOf, insertRaw, rawDocument } from "./wire.ts";

const FORMATS = ["relaxed", "canonical", "plain"] as const;
const ENVELOPES = ["none", "meta", "change", "raw"] as const;
const MATRIX = ENVELOPES.flatMap((envelope) => FORMATS.map((format) => [envelope, format] as const));

/** Every type that the driver can write. */
const TYPES: Document = {
  double: new Double(1.5),
  integralDouble: new Double(7),
  negativeZero: new Double(-0),
  nan: new Double(Number.NaN),
  infinite: new Double(Number.NEGATIVE_INFINITY),
  string: 'quote " backslash \\ newline \n tab \t zero \0 escape \u001b delete \u007f ü 東 😀 \u2028',
  document: { "": 1, "a.b": 2, $c: 3, 10: "ten", 9: "nine", __proto__x: 4 },
  array: [1, [], [[{}]], null],
  binary: new Binary(Uint8Array.from([0, 1, 254, 255])),
  userBinary: new Binary(Uint8Array.from([7]), 128),
  uuid: new UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
  objectId: new ObjectId("65f000000000000000000001"),
  true: true,
  false: false,
  date: new Date("2024-02-29T12:34:56.789Z"),
  wholeSecond: new Date("2024-02-29T12:34:56.000Z"),
  before1970: new Date("1815-12-10T00:00:00.001Z"),
  after9999: new Date(253_402_300_800_000),
  null: null,
  regex: new BSONRegExp("^a/b\\.c$", "im"),
  code: new Code("function () { return 1 }"),
  symbol: new BSONSymbol("symbol"),
  codeWithScope: new Code("return x", { x: new Int32(1) }),
  int: new Int32(-2_147_483_648),
  timestamp: new Timestamp({ t: 4_294_967_295, i: 1 }),
  long: Long.fromString("9007199254740993"),
  smallLong: Long.fromNumber(5),
  decimal: Decimal128.fromString("-1.20E+5"),
  minKey: new MinKey(),
  maxKey: new MaxKey(),
};

const EVERY: Document = { _id: "every type" };

let database: TestDatabase;
let tap: Tap;
let types: string;
/** A position before all changes of the collection `changes`. */
let before: string;

beforeAll(async () => {
  database = await testDatabase();
  const { db, uri, name } = database;
  tap = tapAt(uri);
  types = `${name}.types`;
  const pointer = Buffer.concat([Buffer.from([3, 0, 0, 0]), Buffer.from("db\0"), Buffer.alloc(12, 0xab)]);
  const whole = rawDocument([
    elementsOf({ _id: "every type", ...TYPES }),
    // Deprecated long ago, still to be found in collections, and written by no driver.
    element(0x06, "undefined", Buffer.alloc(0)),
    element(0x0c, "dbPointer", pointer),
  ]);
  const port = Number(/:(\d+)\//.exec(uri)?.[1]);
  await insertRaw(port, name, "types", [whole]);
  await db.createCollection("changes", { changeStreamPreAndPostImages: { enabled: true } });
  before = await tokenNow();
  const changes = db.collection<Document>("changes");
  await insertRaw(port, name, "changes", [whole]);
  await changes.updateOne(EVERY, { $set: { "document.$c": Long.fromNumber(1), added: null }, $unset: { nan: "" } });
  const push: Document = { $push: { array: { $each: ["x"], $slice: 3 } } };
  await changes.updateOne(EVERY, push);
  await changes.replaceOne(EVERY, { replaced: true });
  await changes.deleteOne(EVERY);
  await changes.insertOne({ _id: "short" as never, here: 1 });
  await changes.deleteOne({ _id: "short" as never });
});

/** The resume token of a change that is made for this. (The server refuses to go on behind an event that the filter hides.) */
async function tokenNow(): Promise<string> {
  await using dir = await tempDir();
  await using tail = tap.start([
    "tail",
    database.name,
    "--envelope",
    "raw",
    "--limit",
    "1",
    "--state",
    dir.join("state"),
  ]);
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
  await database.db.collection("changes").insertOne({});
  const [event] = linesOf((await tail.done).stdout);
  return (event as { _id: { _data: string } })._id._data;
}

function normalisers(): readonly Normaliser[] {
  return [names({ [database.name]: "shop" }), orders, tokens, times];
}

describe("a document of every type, copied,", () => {
  test.each(MATRIX)("is the golden line of --envelope %s --format %s", async (envelope, format) => {
    const { stdout } = await tap.expect(0, ["backfill", types, "--envelope", envelope, "--format", format]);
    await expectGolden(`rows/${envelope}-${format}.ndjson`, stdout, normalisers());
  });

  test("comes back from canonical JSON as the same bytes, whatever the golden file says", async () => {
    const { stdout } = await tap.expect(0, ["backfill", types, "--format", "canonical"]);
    const {
      undefined: _undefined,
      dbPointer: _pointer,
      ...back
    } = BSON.EJSON.parse(stdout, { relaxed: false }) as Document;
    const bytes = Buffer.from(BSON.serialize(back)).toString("hex");
    expect(bytes).toBe(Buffer.from(BSON.serialize({ _id: "every type", ...TYPES })).toString("hex"));
  });
});

describe("inserts, updates, a replacement and deletes", () => {
  test.each(MATRIX)("are the golden lines of --envelope %s --format %s", async (envelope, format) => {
    const args = ["tail", `${database.name}.changes`, "--start-at", before, "--until", "caught-up"];
    const { stdout } = await tap.expect(0, [...args, "--envelope", envelope, "--format", format]);
    await expectGolden(`changes/${envelope}-${format}.ndjson`, stdout, normalisers());
  });
});
