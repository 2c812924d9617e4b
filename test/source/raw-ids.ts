/** `_id`s of every BSON type as bytes, also those that no driver writes, and collections of them. */

import fc from "fast-check";
import { Decimal128, type MongoClient } from "mongodb";
import { BSON } from "../../src/codec/bson.ts";
import { runCommand } from "../../src/connect/run-command.ts";
import { arrayElement, rawValue } from "../../src/source/raw-bson.ts";
import {
  anyValue,
  concat,
  double,
  field,
  int32,
  int64,
  prefixed,
  rawDocument,
  type RawValue,
  utf8,
} from "../codec/raw-bson.ts";

const NOTHING = new Uint8Array(0);
const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");
const document = (...fields: Parameters<typeof rawDocument>[0]): RawValue => ({
  type: BSON.document,
  body: rawDocument(fields),
});

/** What JavaScript does not give back: the driver reads each as another value, refuses it or writes it in another way. */
export const changedByJavaScript: Readonly<Record<string, (n: number) => RawValue>> = {
  "text that is not UTF-8": (n) => ({ type: BSON.string, body: prefixed(latin1(`M\xfcller ${n}`)) }),
  "a document with undefined in it": (n) =>
    document(field("a", BSON.int32, int32(n)), field("b", BSON.undefined, NOTHING)),
  "a date beyond JavaScript's": (n) => ({ type: BSON.date, body: int64(9_000_000_000_000_000n + BigInt(n)) }),
  "a document with a field twice": (n) => document(field("a", BSON.int32, int32(n)), field("a", BSON.int32, int32(n))),
  "a document with a regex of unsorted options": (n) =>
    document(field("a", BSON.int32, int32(n)), field("r", BSON.regex, utf8("^a\0mxi\0"))),
  "a DBPointer": (n) => ({ type: BSON.dbPointer, body: concat(prefixed(utf8("c")), new Uint8Array(8), int32(n)) }),
  "a DBPointer with a NUL in its namespace": (n) =>
    document(field("p", BSON.dbPointer, concat(prefixed(utf8("a\0b")), new Uint8Array(8), int32(n)))),
  "code with a scope of numbered names": (n) => {
    const inside = concat(prefixed(utf8("f()")), document(field("10", 16, int32(n)), field("9", 16, int32(n))).body);
    return { type: BSON.codeWithScope, body: concat(int32(inside.length + 4), inside) };
  },
  "a document with a name that is not UTF-8": (n) => ({
    type: BSON.document,
    body: rawDocument([{ name: latin1("n\xe4me"), value: { type: BSON.int32, body: int32(n) } }]),
  }),
  "a NaN with a payload": (n) =>
    document(field("a", BSON.double, concat(int32(n), Uint8Array.of(0, 0, 0xf8, 0xff))), field("b", 16, int32(n))),
  "an array with odd names": (n) => ({
    type: BSON.document,
    body: rawDocument([field("a", BSON.array, rawDocument([field("x", 16, int32(n)), field("0", 16, int32(n))]))]),
  }),
};

const unusual = fc
  .tuple(fc.constantFrom(...Object.values(changedByJavaScript)), fc.integer({ min: 0, max: 3 }))
  .map(([make, n]) => make(n));

const unusualDocument = fc
  .array(
    fc.record({
      name: fc.constantFrom(...["a", "b", "9", "10", "", "__proto__"].map(utf8)),
      value: fc.oneof(unusual, anyValue),
    }),
    { maxLength: 4 },
  )
  .map((fields): RawValue => document(...fields));

/** Equal numbers of several types, of which an index keeps one; and those that equal nothing that JavaScript compares. */
const number = fc.oneof(
  fc.tuple(fc.integer({ min: -2, max: 2 }), fc.constantFrom(BSON.int32, BSON.int64, BSON.double)).map(([n, type]) => {
    const body = type === BSON.int32 ? int32(n) : type === BSON.int64 ? int64(BigInt(n)) : double(n);
    return { type, body };
  }),
  fc
    .constantFrom(-0, NaN, Infinity, -Infinity, 0.1, 5e-324, 2 ** 53)
    .map((n) => ({ type: BSON.double, body: double(n) })),
  fc
    .constantFrom("0", "-0", "0E+3", "1", "1.00", "0.1", "NaN", "Infinity", "-Infinity", "9007199254740993")
    .map((text) => ({ type: BSON.decimal128, body: Decimal128.fromString(text).bytes })),
);

/** A value that a server may take as an `_id`: it takes no array, no regex and no undefined. */
export const anyId = fc
  .oneof(
    { weight: 3, arbitrary: anyValue },
    { weight: 2, arbitrary: unusual },
    { weight: 2, arbitrary: unusualDocument },
    { weight: 2, arbitrary: number },
  )
  .filter(({ type }) => type !== BSON.array && type !== BSON.regex && type !== BSON.undefined);

/** Inserts a document for each `_id` that the server takes and that equals no other; resolves to their number. */
export async function insertIds(
  client: MongoClient,
  db: string,
  collection: string,
  ids: readonly RawValue[],
): Promise<number> {
  const documents = ids.map(({ type, body }, n) =>
    rawValue(BSON.document, rawDocument([field("_id", type, body), field("n", BSON.int32, int32(n))])),
  );
  const command = { insert: collection, ordered: false, writeConcern: { w: "majority" } };
  const reply = await runCommand(client, db, command, { rawFields: arrayElement("documents", documents) });
  return Number(reply["n"]);
}
