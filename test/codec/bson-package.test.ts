/** The codec against the `bson` package, except for the values of WRONG_IN_PACKAGE. */

import { describe, expect, test } from "bun:test";
import { Binary, deserialize, EJSON, serialize } from "bson";
import fc from "fast-check";
import { BSON, ElementWalker } from "../../src/codec/bson.ts";
import { createTranscoder } from "../../src/codec/transcode.ts";
import {
  anyFields,
  concat,
  field,
  int32,
  int64,
  prefixed,
  rawDocument,
  type RawField,
  type RawValue,
  utf8,
} from "./raw-bson.ts";
import { jsonOf } from "./transcoders.ts";
import { runs } from "./runs.ts";

const decoder = new TextDecoder();
const viewOf = (body: Uint8Array): DataView => new DataView(body.buffer, body.byteOffset);

/** Values that the package changes, as of bson 7.3.4: documents with one of these are not compared. */
const WRONG_IN_PACKAGE: readonly (readonly [reason: string, is: (value: RawValue) => boolean])[] = [
  ["an undefined is read as undefined, and left out when it is written", ({ type }) => type === BSON.undefined],
  ["a DBPointer is read as a DBRef", ({ type }) => type === BSON.dbPointer],
  ["options of a regex that are not i, l, m, s, u, x once each are refused", ({ type }) => type === BSON.regex],
  ["a scope becomes an object, with what that does to its names", ({ type }) => type === BSON.codeWithScope],
  [
    "a date outside JavaScript's range becomes an invalid Date",
    ({ type, body }) =>
      type === BSON.date && Number.isNaN(new Date(Number(viewOf(body).getBigInt64(0, true))).getTime()),
  ],
  [
    "a decimal128 of random bits is rarely canonical; its text then has 35 digits and cannot be read back",
    ({ type }) => type === BSON.decimal128,
  ],
  [
    "the payload of a NaN has no text",
    ({ type, body }) => type === BSON.double && Number.isNaN(viewOf(body).getFloat64(0, true)),
  ],
  [
    "a UUID (binary of subtype 4) of other than 16 bytes is changed",
    ({ type, body }) => type === BSON.binary && body[4] === 4 && body.length !== 21,
  ],
  ["a vector (binary of subtype 9) is checked", ({ type, body }) => type === BSON.binary && body[4] === 9],
  ["the name of an element of an array becomes its index", ({ type }) => type === BSON.array],
];

/** Names that the package changes or reorders, because they are keys of an object. */
function isNameWrong(name: string, before: Set<string>): boolean {
  const isRepeated = before.has(name);
  const isIndex = /^\d+$/.test(name);
  const looksLikeExtendedJson = name.startsWith("$");
  return (
    isRepeated || isIndex || looksLikeExtendedJson || name === "__proto__" || name === "_bsontype" || name === "toBSON"
  );
}

/** The fields that the package does not change. */
function rightInPackage(fields: readonly RawField[]): RawField[] {
  const names = new Set<string>();
  return fields.flatMap((one) => {
    const name = decoder.decode(one.name);
    if (isNameWrong(name, names) || WRONG_IN_PACKAGE.some(([, is]) => is(one.value))) return [];
    names.add(name);
    return [one.value.type === BSON.document ? { ...one, value: rightInside(one.value) } : one];
  });
}

function rightInside(value: RawValue): RawValue {
  const walker = new ElementWalker();
  const fields: RawField[] = [];
  walker.start(value.body, 0);
  while (walker.next()) {
    fields.push({
      name: value.body.slice(walker.nameBegin, walker.nameEnd),
      value: { type: walker.type, body: value.body.slice(walker.valueBegin, walker.valueEnd) },
    });
  }
  return { type: BSON.document, body: rawDocument(rightInPackage(fields)) };
}

const rightFields = anyFields.map(rightInPackage);

describe("canonical output", () => {
  const transcoder = createTranscoder({ format: "canonical" });

  test("parsed by EJSON.parse() and serialized has the same bytes", () => {
    fc.assert(
      fc.property(rightFields, (fields) => {
        const bytes = rawDocument(fields);
        const value: unknown = EJSON.parse(jsonOf(transcoder, bytes), { relaxed: false });
        expect(serialize(value as Record<string, unknown>)).toEqual(bytes);
      }),
      runs(375),
    );
  });

  test("also for decimals of up to 34 digits, regexes and arrays", () => {
    const options = fc.subarray(["i", "m", "s", "x"]).map((letters) => letters.join(""));
    const pattern = fc.string({ unit: "grapheme-ascii" }).filter((text) => !text.includes("\0"));
    const decimal = fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 34n - 1n }), fc.integer({ min: 0, max: 12_287 }), fc.boolean())
      .map(([digits, exponent, isNegative]) => {
        const bits = (isNegative ? 1n << 127n : 0n) | (BigInt(exponent) << 113n) | digits;
        return concat(int64(BigInt.asIntN(64, bits)), int64(BigInt.asIntN(64, bits >> 64n)));
      });
    fc.assert(
      fc.property(decimal, pattern, options, fc.array(fc.integer()), (number, text, letters, list) => {
        const elements = list.map((value, index) => field(String(index), BSON.int32, int32(value)));
        const bytes = rawDocument([
          field("decimal", BSON.decimal128, number),
          field("regex", BSON.regex, concat(utf8(`${text}\0${letters}\0`))),
          field("array", BSON.array, rawDocument(elements)),
        ]);
        const value: unknown = EJSON.parse(jsonOf(transcoder, bytes), { relaxed: false });
        expect(serialize(value as Record<string, unknown>)).toEqual(bytes);
      }),
      runs(125),
    );
  });

  test("equals EJSON.stringify(), except for the text of doubles", () => {
    const sameDoubles = (json: string): string =>
      json.replaceAll(/"\$numberDouble":"([^"]+)"/g, (_, text: string) => `"$numberDouble":"${Number(text)}"`);
    const sameEscapes = (json: string): string =>
      json.replaceAll(/\\u(007f|0085|2028|2029)/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
    const options = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true };
    fc.assert(
      fc.property(rightFields, (fields) => {
        const bytes = rawDocument(fields);
        const theirs = EJSON.stringify(deserialize(bytes, options), { relaxed: false });
        expect(sameEscapes(sameDoubles(jsonOf(transcoder, bytes)))).toBe(sameDoubles(theirs));
      }),
      runs(250),
    );
  });
});

describe("the package", () => {
  const relaxed = createTranscoder({ format: "relaxed" });

  test("loses what the codec keeps: it cannot be the oracle for everything", () => {
    const bytes = rawDocument([
      field("b", BSON.int64, int64(9_007_199_254_740_993n)),
      field("2", BSON.double, new Uint8Array([0, 0, 0, 0, 0, 0, 240, 63])),
      field("b", BSON.date, int64(2n ** 62n)),
      field("1", BSON.undefined, new Uint8Array(0)),
    ]);
    expect(EJSON.stringify(deserialize(bytes))).toBe('{"1":null,"2":1,"b":{"$date":{"$numberLong":"NaN"}}}');
    expect(jsonOf(relaxed, bytes)).toBe(
      '{"b":9007199254740993,"2":1.0,"b":{"$date":{"$numberLong":"4611686018427387904"}},"1":{"$undefined":true}}',
    );
  });

  test("agrees on relaxed values that it does not change", () => {
    const value = {
      text: 'é "\n',
      on: true,
      none: null,
      at: new Date(1_714_558_830_123),
      raw: new Binary(utf8("x"), 4),
      n: 7,
      x: 0.1,
    };
    expect(jsonOf(relaxed, serialize(value))).toBe(EJSON.stringify(value));
  });

  test("takes a field named _bsontype for a class; the codec writes a field", () => {
    const bytes = rawDocument([
      field("_bsontype", BSON.string, prefixed(utf8("x"))),
      field("__proto__", BSON.null, new Uint8Array(0)),
    ]);
    expect(jsonOf(relaxed, bytes)).toBe('{"_bsontype":"x","__proto__":null}');
  });
});
