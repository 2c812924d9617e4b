/** The lines of collections that end, and of copies that replace others, in every envelope. */
import { describe, expect, test } from "bun:test";
import type { Document } from "mongodb";
import { type EnvelopeName, ENVELOPES } from "../../src/protocol/envelopes.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import {
  BEGINNING,
  clusterTime,
  type CollectionEnd,
  type EventBatch,
  NO_DOCUMENTS,
  sortKey,
} from "../../src/source/record.ts";
import { batchOf, documentsOf, event, insert, linesOf, rename } from "./batches.ts";

function encoderOf(envelope: EnvelopeName): Encoder {
  return createLineEncoder({ envelope, transcoding: { format: "relaxed" }, onBadDocument: "fail", version: "9" });
}

const AGAIN: CollectionEnd = {
  name: 'shop.so "x"',
  reason: "copied again",
  sortKey: sortKey(clusterTime(100, 7), 0),
  ms: 100_000,
};
const VOID: EventBatch = {
  kind: "events",
  documents: NO_DOCUMENTS,
  sortKeys: [],
  ends: [AGAIN],
  position: { collections: {} },
};

const RENAMED: Readonly<Record<Exclude<EnvelopeName, "none" | "raw">, Document>> = {
  meta: {
    _meta: {
      op: "t",
      source: { db: "shop", collection: "a" },
      reason: "renamed",
      to: { db: "shop", collection: "b.c" },
      ts_ms: 100_000,
      order: "000000640000000100000001",
    },
  },
  change: {
    op: "t",
    source: { db: "shop", collection: "a" },
    key: null,
    document: null,
    reason: "renamed",
    to: { db: "shop", collection: "b.c" },
    ts_ms: 100_000,
    order: "000000640000000100000001",
  },
  debezium: {
    key: null,
    before: null,
    after: null,
    updateDescription: null,
    source: {
      version: "9",
      connector: "mongodb",
      name: "mongotap",
      ts_ms: 100_000,
      snapshot: "false",
      db: "shop",
      collection: "a",
      ord: 1,
      order: "000000640000000100000001",
      reason: "renamed",
      to: { db: "shop", collection: "b.c" },
    },
    op: "t",
    ts_ms: 100_000,
  },
  flat: {
    __deleted: false,
    __op: "t",
    __collection: "shop.a",
    __reason: "renamed",
    __to: "shop.b.c",
    _ts_ms: 100_000,
    _offset: "000000640000000100000001",
  },
};

describe("a collection that was renamed to a bound name", () => {
  test.each(Object.entries(RENAMED))("is two lines of %s, each for the output of its collection", (name, expected) => {
    const lines = linesOf(encoderOf(name as EnvelopeName), batchOf([rename(1, "a", "b.c")]));
    expect(lines.map(([output]) => output)).toEqual(["shop.a", "shop.b.c"]);
    expect(JSON.parse(lines[0]?.[1] ?? "")).toEqual(expected);
    expect(lines[1]?.[1]).toContain('"replaced"');
    expect(lines[1]?.[1]).not.toContain('"renamed"');
  });

  test("is the server's event in raw, and one line more for the collection that was replaced", () => {
    const lines = linesOf(encoderOf("raw"), batchOf([rename(1, "a", "b.c")]));
    expect(lines.map(([output, line]) => [output, (JSON.parse(line) as Document)["operationType"]])).toEqual([
      ["shop.a", "rename"],
      ["shop.b.c", "truncate"],
    ]);
    expect(JSON.parse(lines[1]?.[1] ?? "")).toEqual({
      operationType: "truncate",
      clusterTime: { $timestamp: { t: 100, i: 1 } },
      ns: { db: "shop", coll: "b.c" },
      reason: "replaced",
    });
  });
});

describe("in raw", () => {
  const outputs = (batch: EventBatch): unknown[] =>
    linesOf(encoderOf("raw"), batch).map(([name, line]) => [name, (JSON.parse(line) as Document)["operationType"]]);

  test("a drop is the server's event", () => {
    expect(outputs(batchOf([event(1, "drop", "a")]))).toEqual([["shop.a", "drop"]]);
  });

  test("a rename to a bound name is in the output of that name where the other one is not bound", () => {
    expect(outputs(batchOf([rename(1, "a", "b")], [parseBinding("shop.b")]))).toEqual([["shop.b", "rename"]]);
  });

  test("no event has a temporary name of the server", () => {
    expect(outputs(batchOf([rename(1, "tmp.agg_out.1", "b")]))).toEqual([["shop.b", "truncate"]]);
  });
});

test.each(ENVELOPES.filter((name) => name !== "none"))("%s says that a collection is copied again", (name) => {
  const [[output, line] = ["", ""], ...more] = linesOf(encoderOf(name), VOID);
  expect([output, more]).toEqual([AGAIN.name, []]);
  expect(JSON.stringify(JSON.parse(line))).toBe(line);
  expect(line).toMatch(/"(op|__op|operationType)":"t(runcate)?"/);
  expect(line).toContain('"copied again"');
  expect(line).toContain(String.raw`so \"x\"`);
});

test("ends are lines in commit order between the lines of their neighbours", () => {
  const batch = batchOf([insert(1, "a"), event(2, "drop", "a"), insert(3, "a"), rename(4, "a", "b"), insert(5, "b")]);
  const lines = linesOf(encoderOf("meta"), batch).map(([output, line]) => {
    const { _meta } = JSON.parse(line) as { _meta: { op: string; reason?: string; order: string } };
    return [output, _meta.reason ?? _meta.op, Number(_meta.order.slice(8, 16))];
  });
  expect(lines).toEqual([
    ["shop.a", "c", 1],
    ["shop.a", "dropped", 2],
    ["shop.a", "c", 3],
    ["shop.a", "renamed", 4],
    ["shop.b", "replaced", 4],
    ["shop.b", "c", 5],
  ]);
});

test("none has no line for an end, and counts it", () => {
  const encoder = encoderOf("none");
  expect(linesOf(encoder, batchOf([insert(1, "a"), rename(2, "a", "b")]))).toEqual([["shop.a", '{"_id":1}']]);
  expect(linesOf(encoder, VOID)).toEqual([]);
  expect(encoder.omissions()).toMatchObject({ ends: 3, deletes: 0, updates: { deleted: 0 } });
});

test.each([
  ["meta", '"snapshot":true,"copy":2,'],
  ["change", '"snapshot":true,"copy":2,'],
  ["debezium", ',"copy":2},"op":"r"'],
  ["flat", ',"__copy":2}'],
  ["raw", ',"copy":2}'],
] as const)("%s says of a copied document which copy it is of, unless it is the first", (name, part) => {
  const rows = {
    kind: "rows",
    namespace: { db: "shop", collection: "a" },
    at: BEGINNING,
    position: undefined,
  } as const;
  const lineOf = (copy?: number): string => {
    const documents = documentsOf([{ _id: 1 }]);
    const { bytes } = encoderOf(name).encode({ ...rows, documents, ...(copy === undefined ? {} : { copy }) });
    return new TextDecoder().decode(bytes);
  };
  expect(lineOf(2)).toContain(part);
  expect(lineOf(2).replace(/,"(__)?copy":2/, "")).toBe(lineOf());
});
