/** One example of each BSON type and special value, by its name in docs/json.md. */

import { BSON } from "../../src/codec/bson.ts";
import { binary, concat, double, field, int32, int64, prefixed, rawDocument, type RawValue, utf8 } from "./raw-bson.ts";

const hex = (digits: string): Uint8Array =>
  Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const value = (type: number, body: Uint8Array): RawValue => ({ type, body });
const nothing = new Uint8Array(0);
const NUL = Uint8Array.of(0);
const oid = hex("65f0c0ffee0000000000abcd");
/** A decimal128 from its bytes, the most significant first. */
const decimal = (digits: string): RawValue => value(BSON.decimal128, hex(digits).toReversed());
const withScope = (code: string, scope: Uint8Array): Uint8Array => {
  const inside = concat(prefixed(utf8(code)), scope);
  return concat(int32(inside.length + 4), inside);
};

export const EXAMPLES: Readonly<Record<string, RawValue>> = {
  double: value(BSON.double, double(0.1)),
  "double, whole": value(BSON.double, double(1)),
  "double, −0": value(BSON.double, double(-0)),
  "double, large": value(BSON.double, double(1_714_558_830_123)),
  "double, small": value(BSON.double, double(0.000025)),
  "double, NaN": value(BSON.double, double(Number.NaN)),
  "double, infinite": value(BSON.double, double(-Infinity)),
  string: value(BSON.string, prefixed(utf8('say "hé"\n'))),
  document: value(BSON.document, rawDocument([field("b", BSON.int32, int32(1)), field("a", BSON.null, nothing)])),
  array: value(
    BSON.array,
    rawDocument([field("0", BSON.int32, int32(1)), field("1", BSON.string, prefixed(utf8("x")))]),
  ),
  binary: value(BSON.binary, binary(0, hex("010203"))),
  "binary, UUID": value(BSON.binary, binary(4, hex("73ffd26444b34c6990e8e7d1dfc035d4"))),
  "binary, old": value(BSON.binary, binary(2, concat(int32(3), hex("010203")))),
  "binary, own": value(BSON.binary, binary(0x80, hex("ff"))),
  undefined: value(BSON.undefined, nothing),
  ObjectId: value(BSON.objectId, oid),
  boolean: value(BSON.boolean, Uint8Array.of(1)),
  date: value(BSON.date, int64(1_714_558_830_123n)),
  "date, whole second": value(BSON.date, int64(1_714_558_830_000n)),
  "date before 1970": value(BSON.date, int64(-1n)),
  "date after 9999": value(BSON.date, int64(253_402_300_800_000n)),
  "date, the last": value(BSON.date, int64(2n ** 63n - 1n)),
  null: value(BSON.null, nothing),
  regex: value(BSON.regex, concat(utf8("^a/b"), NUL, utf8("xi"), NUL)),
  DBPointer: value(BSON.dbPointer, concat(prefixed(utf8("db.c")), oid)),
  code: value(BSON.code, prefixed(utf8("f()"))),
  symbol: value(BSON.symbol, prefixed(utf8("s"))),
  "code with scope": value(BSON.codeWithScope, withScope("f()", rawDocument([field("x", BSON.int32, int32(1))]))),
  int32: value(BSON.int32, int32(7)),
  timestamp: value(BSON.timestamp, concat(int32(42), int32(123_456_789))),
  int64: value(BSON.int64, int64(9_007_199_254_740_993n)),
  decimal128: decimal("303c00000000000000000000000004e2"),
  "decimal128, exponent": decimal("30460000000000000000000000000001"),
  "decimal128, −0": decimal("b0400000000000000000000000000000"),
  "decimal128, NaN": decimal("7c000000000000000000000000000000"),
  "decimal128, infinite": decimal("f8000000000000000000000000000000"),
  minKey: value(BSON.minKey, nothing),
  maxKey: value(BSON.maxKey, nothing),
};
