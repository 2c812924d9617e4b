/** Each type of BSON as Estuary's own connector for MongoDB writes it, and as `mongotap flow` does. */
import { describe, expect, test } from "bun:test";
import {
  BSON,
  BSONRegExp,
  BSONSymbol,
  Binary,
  Code,
  DBRef,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from "mongodb";
import { MongotapError } from "../../src/errors.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import { batchOf, event, linesOf, rowsOf } from "./batches.ts";

const OID = new ObjectId("65f0c0ffee0000000000abcd");

function encoderOf(onBadDocument: "fail" | "skip" = "fail"): ReturnType<typeof createLineEncoder> {
  return createLineEncoder({
    envelope: { kind: "flow", bindings: new Map([["shop.c", 0]]) },
    transcoding: { format: "plain" },
    onBadDocument,
    version: "9",
  });
}

function lineOf(document: Document): string {
  return linesOf(encoderOf(), rowsOf([document]))[0]?.[1] ?? "";
}

/** The JSON of the field `v`. */
function textOf(value: unknown): string {
  return /"v":(.*),"_meta":\{"op"/.exec(lineOf({ _id: "k", v: value }))?.[1] ?? "";
}

function keyOf(value: unknown): string {
  const { captured } = JSON.parse(lineOf({ _id: value })) as { captured: { doc: { _id: string } } };
  return captured.doc._id;
}

const UUID = new Binary(Buffer.from("73ffd26444b34c6990e8e7d1dfc035d4", "hex"), 4);

describe("a field", () => {
  test.each<[string, unknown, string]>([
    ["double", new Double(1.5), "1.5"],
    ["double, whole", new Double(1), "1.0"],
    ["double, −0", new Double(-0), "-0.0"],
    ["double, NaN", new Double(Number.NaN), '"NaN"'],
    ["double, infinite", new Double(Number.NEGATIVE_INFINITY), '"-Infinity"'],
    ["string", 'é"\n', JSON.stringify('é"\n')],
    ["document", { b: new Int32(1), a: null }, '{"b":1,"a":null}'],
    ["array", [new Int32(1), "x"], '[1,"x"]'],
    ["binary", new Binary(Buffer.from([1, 2, 3]), 0), '"AQID"'],
    ["binary, UUID", UUID, '"c//SZESzTGmQ6OfR38A11A=="'],
    ["binary, own subtype", new Binary(Buffer.from([255]), 0x80), '"/w=="'],
    ["ObjectId", OID, '"65f0c0ffee0000000000abcd"'],
    ["boolean", true, "true"],
    ["null", null, "null"],
    ["date", new Date("2024-05-01T10:20:30Z"), '"2024-05-01T10:20:30.000Z"'],
    ["date before 1970", new Date(-1), '"1969-12-31T23:59:59.999Z"'],
    ["regex", new BSONRegExp("^a/b", "i"), '{"$regularExpression":{"pattern":"^a/b","options":"i"}}'],
    ["code", new Code("f()"), '{"$code":"f()"}'],
    ["code with scope", new Code("f()", { x: new Int32(1) }), '{"$code":"f()","$scope":{"x":1}}'],
    ["symbol", new BSONSymbol("s"), '{"$symbol":"s"}'],
    ["int32", new Int32(7), "7"],
    ["int64", Long.fromString("9007199254740993"), "9007199254740993"],
    ["timestamp", new Timestamp({ t: 1, i: 2 }), '{"$timestamp":{"t":1,"i":2}}'],
    ["decimal128", Decimal128.fromString("12.50"), '"12.50"'],
    ["decimal128, exponent", Decimal128.fromString("1E+3"), '"1E+3"'],
    ["decimal128, small", Decimal128.fromString("0.000001"), '"0.000001"'],
    ["decimal128, NaN", Decimal128.fromString("NaN"), '"NaN"'],
    ["minKey", new MinKey(), '{"$minKey":1}'],
    ["maxKey", new MaxKey(), '{"$maxKey":1}'],
    ["DBRef", new DBRef("c", OID), '{"$ref":"c","$id":"65f0c0ffee0000000000abcd"}'],
  ])("%s: as in Estuary's connector", (_, value, text) => {
    expect(textOf(value)).toBe(text);
  });

  test.each<[string, unknown, string, string]>([
    [
      "a date after 9999 is not set to 9999",
      new Date(253_402_300_800_000),
      '"+010000-01-01T00:00:00.000Z"',
      "9999-12-31",
    ],
    ["a date before 0 is not set to 0", new Date(-62_167_219_200_001), '"-000001-12-31T23:59:59.999Z"', "0000-01-01"],
    ["a double from a million on has an exponent", new Double(1_714_558.5), "1.7145585E+06", "1714558.5"],
    ["a name of Extended JSON stays a field", { $oid: "x", a: new Int32(1) }, '{"$oid":"x","a":1}', '"x"}'],
    ["a quote in a name is escaped once", { 'q"': null }, String.raw`{"q\"":null}`, String.raw`{"q\\\"":null}`],
  ])("%s, as it is in Estuary's connector", (_, value, text, theirs) => {
    expect(textOf(value)).toBe(text);
    expect(text).not.toContain(theirs);
  });
});

describe("the key", () => {
  test.each<[string, unknown, string]>([
    ["string", "text", "text"],
    ["ObjectId", OID, "65f0c0ffee0000000000abcd"],
    ["binary", UUID, "c//SZESzTGmQ6OfR38A11A=="],
    ["int32", new Int32(0), "0"],
    ["int64", Long.fromString("9007199254740993"), "9007199254740993"],
    ["double", new Double(1.5), "1.5"],
    ["double, whole", new Double(1), "1.0"],
    ["double, −0", new Double(-0), "-0.0"],
    ["double, as a shell stores a time", new Double(1_714_558_830_123), "1714558830123.0"],
    ["double below 1e16", new Double(-1_234_567_890_123_456), "-1234567890123456.0"],
    ["double of 1e16", new Double(1e16), "1e16"],
    ["double, large", new Double(-1.25e300), "-1.25e300"],
    ["double, small", new Double(0.000_012_5), "0.0000125"],
    ["double, smaller", new Double(0.000_001_25), "1.25e-6"],
    ["double, with decimals", new Double(1234.5678), "1234.5678"],
    ["boolean", true, "true"],
    ["null", null, "null"],
    ["date", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["decimal128", Decimal128.fromString("12.50"), "12.50"],
    ["timestamp", new Timestamp({ t: 1, i: 2 }), '{"$timestamp":{"i":2,"t":1}}'],
    [
      "document, by the names of its fields",
      { b: new Double(2e6), a: OID },
      `{"a":"${OID.toHexString()}","b":2000000.0}`,
    ],
  ])("%s: as in Estuary's connector", (_, value, text) => {
    expect(keyOf(value)).toBe(text);
  });
});

describe("a message that Flow does not take, because it is larger than 64 MB", () => {
  // Each of these characters has six bytes in JSON.
  const text = "\u0001".repeat(10_700_000);
  const before = { _id: 1, text: "\u0001".repeat(5_400_000) };

  test("is a document that cannot be carried: the capture fails, and says which it is", () => {
    const encoder = encoderOf();
    expect(() => encoder.encode(rowsOf([{ _id: 1, text }]))).toThrow(MongotapError);
    expect(() => encoder.encode(rowsOf([{ _id: 1, text }]))).toThrow(
      /^shop\.c: a document with _id 1: its message has 642/,
    );
  });

  test("with onBadDocument: skip it is left out and counted, and what is beside it is not", () => {
    const encoder = encoderOf("skip");
    const lines = linesOf(encoder, rowsOf([{ _id: 1, text }, { _id: 2 }]));
    expect(lines.map(([, line]) => line.slice(0, 40))).toEqual(['{"captured":{"binding":0,"doc":{"_id":"2']);
    expect(encoder.omissions().badDocuments).toBe(1);
  });

  test("with the document before the change, the error says how it becomes smaller", () => {
    const images = { fullDocument: { ...before, a: 1 }, fullDocumentBeforeChange: before };
    const update = event(1, "update", "c", { documentKey: { _id: 1 }, ...images });
    expect(BSON.calculateObjectSize(update)).toBeLessThan(16 * 1024 * 1024);
    expect(() => encoderOf().encode(batchOf([update]))).toThrow("(before: none)");
  });
});
