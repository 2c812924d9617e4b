/** BSON made by hand: any type, name and error, also those that no serializer writes. */

import fc from "fast-check";
import { BSON } from "../../src/codec/bson.ts";

/** A value as its type byte and its bytes. */
export interface RawValue {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface RawField {
  readonly name: Uint8Array;
  readonly value: RawValue;
}

const encoder = new TextEncoder();

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

export function int64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

export function double(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return bytes;
}

const NUL = Uint8Array.of(0);

/** A BSON string: length, text, NUL. */
export const prefixed = (text: Uint8Array): Uint8Array => concat(int32(text.length + 1), text, NUL);

export function rawDocument(fields: readonly RawField[]): Uint8Array {
  const elements = fields.map(({ name, value }) => concat(Uint8Array.of(value.type), name, NUL, value.body));
  const inside = concat(...elements);
  return concat(int32(inside.length + 5), inside, NUL);
}

/** A document of one field. */
export const oneField = (type: number, body: Uint8Array, name = "a"): Uint8Array =>
  rawDocument([{ name: utf8(name), value: { type, body } }]);

export const field = (name: string, type: number, body: Uint8Array): RawField => ({
  name: utf8(name),
  value: { type, body },
});

export const binary = (subtype: number, data: Uint8Array): Uint8Array =>
  concat(int32(data.length), Uint8Array.of(subtype), data);

/** Hard texts: quotes, controls, separators, everything outside ASCII, and long runs of ASCII. */
const text: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    { weight: 3, arbitrary: fc.string({ unit: "grapheme-ascii" }) },
    { weight: 2, arbitrary: fc.string({ unit: "binary" }) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: fc.constantFrom('"', "\\", "\n", "\u0000", "\u007f", "\u0085", "\u2028") }),
    },
    {
      weight: 1,
      arbitrary: fc.string({ unit: fc.constantFrom("é", "東", "😀", "a", "\u2029", "\u00a8"), maxLength: 60 }),
    },
  )
  .map(utf8);

const name = text.map((bytes) => bytes.filter((byte) => byte !== 0));

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });

const anyDouble = fc
  .oneof(
    fc.double(),
    fc.integer().map((whole) => whole / 100),
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
  )
  .map(double);

const anyDate = fc
  .oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -62_167_219_200_001n, max: 253_402_300_800_001n }),
  )
  .map(int64);

const anyBinary = fc
  .tuple(fc.constantFrom(0, 1, 3, 4, 5, 6, 9, 128), fc.uint8Array({ maxLength: 50 }))
  .map(([subtype, data]) => binary(subtype, data));

const value = (type: number, body: fc.Arbitrary<Uint8Array>): fc.Arbitrary<RawValue> =>
  body.map((bytes) => ({ type, body: bytes }));

/** The types that the kernel writes itself. */
const usualScalar: readonly fc.Arbitrary<RawValue>[] = [
  value(BSON.double, anyDouble),
  value(BSON.string, text.map(prefixed)),
  value(BSON.binary, anyBinary),
  value(
    BSON.binary,
    fc.uint8Array({ maxLength: 9 }).map((data) => binary(2, concat(int32(data.length), data))),
  ),
  value(BSON.undefined, fc.constant(new Uint8Array(0))),
  value(BSON.objectId, bytesOf(12)),
  value(BSON.boolean, fc.constantFrom(Uint8Array.of(0), Uint8Array.of(1))),
  value(BSON.date, anyDate),
  value(BSON.null, fc.constant(new Uint8Array(0))),
  value(BSON.int32, fc.oneof(fc.integer(), fc.integer({ min: -99, max: 99 })).map(int32)),
  value(BSON.timestamp, bytesOf(8)),
  value(BSON.int64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(int64)),
  value(BSON.decimal128, bytesOf(16)),
  value(BSON.minKey, fc.constant(new Uint8Array(0))),
  value(BSON.maxKey, fc.constant(new Uint8Array(0))),
];

const rareScalar: readonly fc.Arbitrary<RawValue>[] = [
  value(
    BSON.regex,
    fc.tuple(name, name).map(([pattern, options]) => concat(pattern, NUL, options, NUL)),
  ),
  value(
    BSON.dbPointer,
    fc.tuple(text, bytesOf(12)).map(([ns, id]) => concat(prefixed(ns), id)),
  ),
  value(BSON.code, text.map(prefixed)),
  value(BSON.symbol, text.map(prefixed)),
];

const tree = fc.letrec<{ value: RawValue; fields: readonly RawField[] }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    { weight: 12, arbitrary: fc.oneof(...usualScalar) },
    { weight: 2, arbitrary: fc.oneof(...rareScalar) },
    { weight: 3, arbitrary: tie("fields").map((fields) => ({ type: BSON.document, body: rawDocument(fields) })) },
    { weight: 3, arbitrary: tie("fields").map((fields) => ({ type: BSON.array, body: rawDocument(fields) })) },
    {
      weight: 1,
      arbitrary: fc.tuple(text, tie("fields")).map(([code, fields]) => {
        const inside = concat(prefixed(code), rawDocument(fields));
        return { type: BSON.codeWithScope, body: concat(int32(inside.length + 4), inside) };
      }),
    },
  ),
  fields: fc.array(fc.record({ name, value: tie("value") }), { maxLength: 6 }),
}));

/** Any value of any type and depth. */
export const anyValue = tree.value;

/** Documents of all types, as fields and as bytes. */
export const anyFields = tree.fields;
export const anyDocument = tree.fields.map(rawDocument);

/** Documents of the types that the kernel writes: it must not give up on them. */
const usualTree = fc.letrec<{ value: RawValue; fields: readonly RawField[] }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    { weight: 8, arbitrary: fc.oneof(...usualScalar) },
    { weight: 1, arbitrary: tie("fields").map((fields) => ({ type: BSON.document, body: rawDocument(fields) })) },
    { weight: 1, arbitrary: tie("fields").map((fields) => ({ type: BSON.array, body: rawDocument(fields) })) },
  ),
  fields: fc.array(fc.record({ name, value: tie("value") }), { maxLength: 12 }),
}));
export const usualDocument = usualTree.fields.map(rawDocument);

/** A document with changed or missing bytes: most are corrupt, some are valid. */
export const brokenDocument = fc
  .tuple(
    anyDocument,
    fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 3, 4, 5, 15, 127, 128, 255))), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.option(fc.nat(), { freq: 4 }),
  )
  .map(([document, changes, cut]) => {
    const bytes = document.slice(0, cut === null ? document.length : cut % (document.length + 1));
    for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });
