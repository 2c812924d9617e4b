import { describe, expect, test } from "bun:test";
import { BSON, Double, Int32, Long } from "mongodb";
import { keyOf, MAX_KEY, sameKey, toText, toValue } from "../../src/source/bson-key.ts";
import {
  clusterTimeOf,
  firstTimeOf,
  readClusterTime,
  tickAfter,
  tickBefore,
  timestampOf,
} from "../../src/source/cluster-time.ts";
import { isHighWater, tokenData, tokenTime } from "../../src/source/resume-token.ts";
import { everyIdType } from "../support/documents.ts";
import {
  BEGINNING,
  clusterTime,
  incrementOf,
  rowsSortKey,
  sortKey,
  sortKeyIncrement,
  sortKeySequence,
  sortKeyTime,
} from "../../src/source/record.ts";
import { timeFrom } from "../support/states.ts";

function key(id: unknown): string {
  return keyOf(BSON.serialize({ before: 1, _id: id, after: "x" }), 0);
}

describe("keyOf() and toValue()", () => {
  test.each(everyIdType.map(({ name, id }) => [name, id] as const))(
    "give back an _id of type %s to the very byte",
    (_, id) => {
      const sent = BSON.serialize(toValue(key(id)));
      expect(Buffer.from(sent).toString("hex")).toBe(Buffer.from(BSON.serialize({ _id: id })).toString("hex"));
    },
  );

  test("keep keys that JavaScript would move or swallow", () => {
    const id = new Map<string, unknown>([
      ["b", 1],
      ["10", 2],
      ["9", 3],
      ["__proto__", 4],
      ["", 5],
      ["a.b", 6],
    ]);
    const sent = BSON.serialize(toValue(key(id)));
    expect(Buffer.from(sent).toString("hex")).toBe(Buffer.from(BSON.serialize(new Map([["_id", id]]))).toString("hex"));
  });

  test("refuse a key that would not come back as it was: the same name twice", () => {
    const inner = Buffer.concat([
      Buffer.from([19, 0, 0, 0]),
      ...[1, 2].map((n) => Buffer.from([0x10, 0x61, 0, n, 0, 0, 0])),
      Buffer.from([0]),
    ]);
    const outer = Buffer.concat([
      Buffer.from([inner.length + 10, 0, 0, 0, 3]),
      Buffer.from("_id\0"),
      inner,
      Buffer.from([0]),
    ]);
    expect(() => toValue(toText(outer))).toThrow("duplicate field names");
  });

  test("refuse text that is no document", () => {
    for (const text of ["", "AAAA", "not base64!", toText(new Uint8Array(40))]) {
      expect(() => toValue(text)).toThrow("damaged");
    }
  });

  test("keyOf() refuses a document without _id", () => {
    expect(() => keyOf(BSON.serialize({ a: 1 }), 0)).toThrow("without _id");
  });
});

test("MAX_KEY is the key of a document whose _id is MaxKey", () => {
  expect(key(new BSON.MaxKey())).toBe(MAX_KEY);
});

describe("sameKey()", () => {
  test.each([
    [new Int32(1), Long.fromNumber(1), true],
    [new Int32(1), new Double(1), true],
    [Long.fromNumber(1), new Double(1), true],
    [new Double(0), new Double(-0), true],
    [new Int32(1), new Int32(2), false],
    [new Double(1.5), new Int32(1), false],
    [Long.fromString("9007199254740993"), new Double(9007199254740992), false],
    ["1", new Int32(1), false],
    [null, new Int32(0), false],
    [new Double(Number.NaN), new Double(Number.NaN), true],
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, false],
  ])("of %p and %p is %p", (left, right, expected) => {
    expect(sameKey(key(left), key(right))).toBe(expected);
    expect(sameKey(key(right), key(left))).toBe(expected);
  });
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

  test("tell their time, and whether all up to it has been told", () => {
    for (const [data, isMark] of [
      [EVENT, false],
      [HIGH_WATER, true],
    ] as const) {
      const lower = tokenData(BSON.serialize({ _data: data, _typeBits: new BSON.Binary(new Uint8Array(2)) }));
      expect(lower).toBe(data.toLowerCase());
      expect(tokenTime(lower)).toBe(timeFrom("63a1b2c300000004"));
      expect(isHighWater(lower)).toBe(isMark);
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
