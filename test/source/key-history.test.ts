/** Which versions of a document an update left behind without showing it, and between which times they were current. */
import { describe, expect, test } from "bun:test";
import { BSON, Decimal128, type Document, Double, Long } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import { type Hidden, KeyHistories } from "../../src/source/key-history.ts";
import { nameToNamespace } from "../../src/source/bindings.ts";
import { time } from "./stream-replies.ts";

interface Told {
  readonly at: number;
  readonly operation: string;
  readonly id?: unknown;
  readonly more?: Document;
  readonly of?: string;
}

const insert = (at: number, id: unknown = 1): Told => ({
  at,
  operation: "insert",
  id,
  more: { fullDocument: { v: 0 } },
});
const update = (at: number, id: unknown = 1): Told => ({ at, operation: "update", id });
const shown = (at: number, id: unknown = 1): Told => ({ ...update(at, id), more: { fullDocument: { v: 0 } } });
const gone = (at: number, id: unknown = 1): Told => ({ at, operation: "delete", id });
const drop = (at: number, of = "shop.c"): Told => ({ at, operation: "drop", of });
const rename = (at: number, of: string, to: string): Told => {
  const { db, collection } = nameToNamespace(to);
  return { at, operation: "rename", of, more: { to: { db, coll: collection } } };
};

function hiddenIn(...all: readonly Told[]): Hidden {
  const histories = new KeyHistories();
  for (const [index, { at, operation, id, more, of = "shop.c" }] of all.entries()) {
    const { db, collection } = nameToNamespace(of);
    const key = id === undefined ? {} : { documentKey: { _id: id } };
    const bytes = BSON.serialize({
      _id: { _data: "82" },
      operationType: operation,
      ...more,
      ns: { db, coll: collection },
      ...key,
    });
    const event = new ChangeEvent();
    event.read(bytes, 0);
    histories.add(event, index, time(at));
  }
  return histories.hidden();
}

/** Each run: the times of its steps, when the last one ended, and what is known before the first. */
function runsIn(...all: readonly Told[]): unknown[] {
  return hiddenIn(...all).runs.map(({ steps, until, base }) => [
    steps.map((step) => TICKS.get(step.time)),
    until && TICKS.get(until),
    base,
  ]);
}

const TICKS = new Map(Array.from({ length: 20 }, (_, n) => [time(n), n]));
const BEFORE = "before the batch";

describe("a run of hidden versions", () => {
  test("of one document are its updates without a document; those of others are apart", () => {
    expect(runsIn(update(1), update(2, 2), update(3), update(4, "1"))).toEqual([
      [[1, 3], undefined, BEFORE],
      [[2], undefined, BEFORE],
      [[4], undefined, BEFORE],
    ]);
  });

  test.each([
    ["an insert", insert(3), 1],
    ["a replacement", { ...insert(3), operation: "replace" }, 1],
    ["an update with an image", shown(3), 1],
    ["a delete", gone(3), undefined],
  ] as const)("is ended by %s, and what follows begins behind it", (_, ends, base) => {
    expect(runsIn(update(1), ends, update(5))).toEqual([
      [[1], 3, BEFORE],
      [[5], undefined, base],
    ]);
  });

  test("is ended by the end of its collection, by a rename on both names, not by that of another", () => {
    expect(runsIn(update(1), drop(3), update(5))).toEqual([
      [[1], 3, BEFORE],
      [[5], undefined, BEFORE],
    ]);
    const other: Told = { ...update(2), of: "shop.d" };
    expect(runsIn(update(1), other, rename(3, "shop.d", "shop.c"))).toEqual([
      [[2], 3, BEFORE],
      [[1], 3, BEFORE],
    ]);
    expect(runsIn(update(1), drop(2, "shop.cc"), drop(2, "other.c"))).toEqual([[[1], undefined, BEFORE]]);
  });

  test.each([
    ["Long", Long.fromNumber(1)],
    ["Double", new Double(1)],
    ["Decimal128", Decimal128.fromString("1.00")],
  ])("goes on where a replacement has given the _id another type of number: %s", (_, id) => {
    expect(runsIn(update(1), { ...insert(3, id), operation: "replace" }, update(5, id))).toEqual([
      [[1], 3, BEFORE],
      [[5], undefined, 1],
    ]);
    expect(runsIn(update(1, { a: 1 }), gone(3, { a: id }))).toEqual([[[1], 3, BEFORE]]);
  });

  test("has events of one time as one step; the last of them says what they left behind", () => {
    const { runs, known } = hiddenIn(update(1), update(1), update(2));
    expect(runs[0]?.steps).toEqual([
      { time: time(1), events: [0, 1], lacking: [0, 1], after: "hidden" },
      { time: time(2), events: [2], lacking: [2], after: "hidden" },
    ]);
    expect(known).toEqual([]);
  });

  test("is none where a later event of the same time shows the document, or deletes it", () => {
    const showing = hiddenIn(update(1), shown(1));
    expect(showing.runs).toEqual([]);
    expect(showing.known).toEqual([{ time: time(1), events: [0, 1], lacking: [0], after: "shown" }]);
    const deleting = hiddenIn(update(1), gone(1), update(3, 2));
    expect(deleting.runs).toHaveLength(1);
    expect(deleting.known).toEqual([{ time: time(1), events: [0, 1], lacking: [0], after: "none" }]);
  });

  test("is none of events without a key, or with one that is corrupt", () => {
    expect(runsIn({ at: 1, operation: "update" })).toEqual([]);
    const bytes = BSON.serialize({
      _id: { _data: "82" },
      operationType: "update",
      documentKey: { _id: { a: { b: 1 } } },
    });
    const at = Buffer.from(bytes).indexOf("\x10b\0", "latin1");
    bytes[at] = 0x66; // an unknown type
    const event = new ChangeEvent();
    event.read(bytes, 0);
    const histories = new KeyHistories();
    histories.add(event, 0, time(1));
    expect(histories.hidden().runs).toEqual([]);
  });

  test("of a sharded collection is told apart by the whole key of the document", () => {
    const keyed = (at: number, shard: unknown): Told => ({
      at,
      operation: "update",
      more: { documentKey: { "a.b": shard, _id: 1 } },
    });
    expect(runsIn(keyed(1, "x"), keyed(2, "y"), keyed(3, "x"))).toEqual([
      [[1, 3], undefined, BEFORE],
      [[2], undefined, BEFORE],
    ]);
  });
});
