import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON, Double, Int32 } from "mongodb";
import { fromText, keyOf, MAX_KEY, sameKey, toText } from "../../src/source/bson-key.ts";
import {
  clusterTimeOf,
  firstTimeOf,
  readClusterTime,
  tickAfter,
  tickBefore,
  timestampOf,
} from "../../src/source/cluster-time.ts";
import { isHighWater, tokenData, tokenTime, tokenUuid } from "../../src/source/resume-token.ts";
import { boundsOf } from "../../src/source/snapshot.ts";
import { isSameInIndex, withNumberedArrays } from "../../src/source/index-bytes.ts";
import { equalKeys } from "../../src/source/equal-keys.ts";
import { rawValue } from "../../src/source/raw-bson.ts";
import { Walker } from "../../src/codec/walk.ts";
import { jsonOf } from "../codec/transcoders.ts";
import {
  anyDocument,
  anyFields,
  anyValue,
  concat,
  field,
  int32,
  oneField,
  prefixed,
  rawDocument,
  utf8,
} from "../codec/raw-bson.ts";
import {
  BEGINNING,
  clusterTime,
  incrementOf,
  rowsSortKey,
  sortKey,
  sortKeyIncrement,
  sortKeyOf,
  sortKeySequence,
  sortKeyTime,
} from "../../src/source/record.ts";
import { timeFrom } from "../support/states.ts";

function key(id: unknown): string {
  return keyOf(BSON.serialize({ before: 1, _id: id, after: "x" }), 0);
}

describe("keyOf() and fromText()", () => {
  test("give back any _id to the very byte", () => {
    const property = fc.property(anyValue, anyFields, ({ type, body }, others) => {
      const id = { name: utf8("_id"), value: { type, body } };
      const text = keyOf(rawDocument([...others.filter(({ name }) => !hasName(name, "_id")), id, ...others]), 0);
      expect(Buffer.from(fromText(text)).toString("hex")).toBe(Buffer.from(rawDocument([id])).toString("hex"));
    });
    fc.assert(property);
  });

  test("refuse text that is no document", () => {
    const unterminated = Uint8Array.of(5, 0, 0, 0, 1);
    for (const text of ["", "AAAA", "not base64!", toText(new Uint8Array(40)), toText(unterminated)]) {
      expect(() => fromText(text)).toThrow("damaged");
      expect(() => boundsOf({ last: text, documents: 1, done: false })).toThrow("damaged");
    }
  });

  test("keyOf() refuses a document without _id", () => {
    expect(() => keyOf(BSON.serialize({ a: 1 }), 0)).toThrow("without _id");
  });
});

function hasName(bytes: Uint8Array, name: string): boolean {
  return Buffer.from(bytes).equals(Buffer.from(name));
}

test("the bounds of a range hold the bytes of their keys", () => {
  const property = fc.property(fc.tuple(anyValue, anyValue, anyValue), (values) => {
    const ids = values.map(({ type, body }) => oneField(type, body, "_id"));
    const [from = "", to = "", last = ""] = ids.map(toText);
    const at = { documents: 0, done: false };
    const sent = (range: object): string => Buffer.from(boundsOf({ ...at, ...range }).rawFields).toString("hex");
    const bound = (name: string, id: Uint8Array | undefined): string =>
      `03${Buffer.from(name).toString("hex")}00${Buffer.from(id ?? []).toString("hex")}`;
    expect(sent({})).toBe("");
    const [, high, low] = ids.map(withNumberedArrays);
    expect(sent({ from })).toBe(bound("min", ids[0]));
    expect(sent({ to })).toBe(bound("max", ids[1]));
    expect(sent({ from, to, last })).toBe(bound("min", low) + bound("max", high));
    expect(sent({ last })).toBe(bound("min", ids[2]));
  });
  fc.assert(property);
});

test("withNumberedArrays() changes the names in arrays and nothing else", () => {
  const numbers = (...names: string[]): Uint8Array => rawDocument(names.map((name, i) => field(name, 16, int32(i))));
  const scope = concat(prefixed(utf8("f()")), oneField(4, numbers("x", "x")));
  const code = (inside: Uint8Array): Uint8Array => concat(int32(inside.length + 4), inside);
  const odd = rawDocument([
    field("a", 4, numbers("b", "", "0")),
    field("10", 3, numbers("9", "é")),
    field("c", 15, code(scope)),
  ]);
  const even = rawDocument([
    field("a", 4, numbers("0", "1", "2")),
    field("10", 3, numbers("9", "é")),
    field("c", 15, code(concat(prefixed(utf8("f()")), oneField(4, numbers("0", "1"))))),
  ]);
  expect(Buffer.from(withNumberedArrays(odd)).toString("hex")).toBe(Buffer.from(even).toString("hex"));
  expect([odd, even].map((bytes) => isSameInIndex(rawValue(3, bytes)))).toEqual([false, true]);
  const equal = fc.property(anyDocument, (bytes) => {
    const other = withNumberedArrays(bytes);
    expect(equalKeys(rawValue(3, bytes), rawValue(3, other))).toBe(true);
    expect(withNumberedArrays(other)).toEqual(other);
    expect(isSameInIndex(rawValue(3, bytes))).toBe(Buffer.from(other).equals(bytes) && !hasCutNamespace(bytes));
  });
  const cut = oneField(12, concat(prefixed(utf8("a\0b")), new Uint8Array(12)));
  fc.assert(equal, {
    examples: [[cut], [oneField(4, oneField(16, int32(1), "0"))], [oneField(4, oneField(16, int32(1)))]],
  });
});

/** Whether a DBPointer in the document has a NUL in its namespace, by its Extended JSON. */
function hasCutNamespace(bytes: Uint8Array): boolean {
  return /"\$dbPointer":\{"\$ref":"(?:[^"\\]|\\.)*?\\u0000/.test(jsonOf(new Walker({ format: "canonical" }), bytes));
}

test("MAX_KEY is the key of a document whose _id is MaxKey", () => {
  expect(key(new BSON.MaxKey())).toBe(MAX_KEY);
});

test("sameKey() is true of keys that are one key of an index", () => {
  expect(sameKey(key(new Int32(1)), key(new Double(1)))).toBe(true);
  expect(sameKey(key({ a: 1 }), key({ a: 1 }))).toBe(true);
  expect(sameKey(key({ a: 1 }), key({ a: 2 }))).toBe(false);
});

describe("cluster times", () => {
  test("compare as strings as the server compares them", () => {
    const moments = [
      [0, 1],
      [1, 0],
      [1, 9],
      [1, 10],
      [255, 0],
      [256, 0],
      [2_147_483_648, 3],
      [4_294_967_295, 4_294_967_295],
    ] as const;
    const times = moments.map(([t, i]) => clusterTimeOf(new BSON.Timestamp({ t, i })));
    expect(times).toEqual(times.toSorted());
    expect(times.map((time) => timestampOf(time))).toEqual(moments.map(([t, i]) => new BSON.Timestamp({ t, i })));
  });

  test("are read from bytes as from values", () => {
    const timestamp = new BSON.Timestamp({ t: 1_700_000_000, i: 4_000_000_000 });
    const bytes = BSON.serialize({ t: timestamp });
    expect(readClusterTime(bytes, 7)).toBe(clusterTimeOf(timestamp));
  });

  test("have a next one, and a first one in each second", () => {
    expect(tickAfter(clusterTime(1, 9))).toBe(timeFrom("000000010000000a"));
    expect(firstTimeOf(256)).toBe(timeFrom("0000010000000000"));
  });

  test("have one before, but for the first", () => {
    expect(tickBefore(clusterTime(2, 16))).toBe(clusterTime(2, 15));
    expect(tickBefore(clusterTime(2, 0))).toBe(clusterTime(1, 4_294_967_295));
    expect(tickBefore(BEGINNING)).toBe(BEGINNING);
  });
});

describe("sort keys", () => {
  test("sort by time, then by sequence, and rows behind all events of their time", () => {
    const [first, second] = [clusterTime(255, 9), clusterTime(255, 10)];
    const keys = [
      sortKey(BEGINNING, 1),
      ...[1, 9, 10, 4_000_000_000].map((sequence) => sortKey(first, sequence)),
      rowsSortKey(first),
      sortKey(second, 1),
      rowsSortKey(second),
    ];
    expect(keys.toSorted()).toEqual(keys);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("are the same whether made of a time or of its numbers", () => {
    for (const [seconds, increment, sequence] of [
      [0, 0, 0],
      [1_700_000_000, 10, 1],
      [4_294_967_295, 2_863_311_530, 4_000_000_000],
    ] as const)
      expect(sortKeyOf(seconds, increment, sequence)).toBe(sortKey(clusterTime(seconds, increment), sequence));
  });

  test("hold their time and their sequence", () => {
    const key = sortKey(clusterTime(1_700_000_000, 4_000_000_000), 17);
    expect([sortKeyTime(key), sortKeySequence(key)]).toEqual([clusterTime(1_700_000_000, 4_000_000_000), 17]);
    expect(sortKeyIncrement(key)).toBe(incrementOf(sortKeyTime(key)));
    expect(key).toHaveLength(24);
  });
});

describe("resume tokens", () => {
  const EVENT = "8263A1B2C3000000042B022C0100296E5A1004D99ED44D9115A4D76B28F55D1DC78565746E5F6964002B020004";
  const HIGH_WATER = "8263A1B2C3000000042B0229296E04";

  test("tell their time, the UUID of the collection, and whether all up to it has been told", () => {
    for (const [data, isMark] of [
      [EVENT, false],
      [HIGH_WATER, true],
    ] as const) {
      const lower = tokenData(BSON.serialize({ _data: data, _typeBits: new BSON.Binary(new Uint8Array(2)) }));
      expect(lower).toBe(data.toLowerCase());
      expect(tokenTime(lower)).toBe(timeFrom("63a1b2c300000004"));
      expect(isHighWater(lower)).toBe(isMark);
      expect(tokenUuid(lower)).toBe(isMark ? undefined : "d99ed44d9115a4d76b28f55d1dc78565");
    }
  });

  test("of another form tell nothing, and are no mark", () => {
    for (const token of [{}, { _data: 5 }, { _data: "" }, { _data: "81ff" }, { kafka: "x" }]) {
      const data = tokenData(BSON.serialize(token));
      expect(tokenTime(data)).toBeUndefined();
      expect(isHighWater(data)).toBe(false);
    }
  });
});
