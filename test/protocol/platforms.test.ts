/** The records of the platforms: of copied documents, of each kind of change, and of what a platform has no record for. */
import { describe, expect, test } from "bun:test";
import { BSON, Binary, Decimal128, type Document, Double, Int32, Long, ObjectId } from "mongodb";
import { must } from "../../src/errors.ts";
import type { PlatformMessages } from "../../src/protocol/envelopes.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import { activateVersion, type SingerStream, versionAt } from "../../src/protocol/singer.ts";
import { clusterTime, type EventBatch, sortKey } from "../../src/source/record.ts";
import { batchOf, event, insert, linesOf, rowsOf } from "./batches.ts";

function encoderOf(envelope: PlatformMessages): Encoder {
  return createLineEncoder({ envelope, transcoding: { format: "plain" }, onBadDocument: "fail", version: "9" });
}

function recordsOf(encoder: Encoder, batch: Parameters<Encoder["encode"]>[0]): Document[] {
  return linesOf(encoder, batch).map(([, line]) => JSON.parse(line) as Document);
}

/** The text of the only line. */
function lineOf(encoder: Encoder, batch: Parameters<Encoder["encode"]>[0]): string {
  return linesOf(encoder, batch)
    .map(([, line]) => line)
    .join();
}

function bodyOf(message: Document | undefined): unknown {
  return must(message, "a message")["record"];
}

function update(n: number, fullDocument?: Document): Document {
  const more = fullDocument === undefined ? {} : { fullDocument };
  return event(n, "update", "c", { documentKey: { _id: n }, ...more });
}

function deletion(n: number, key: Document): Document {
  return event(n, "delete", "c", { documentKey: key });
}

const CHANGES = batchOf([insert(1, "c"), update(2, { _id: 2, a: "é" }), deletion(3, { s: 7, _id: 3 })]);

describe("Airbyte", () => {
  const messages = (columns: "fields" | "data", namespace?: string): PlatformMessages => ({
    kind: "airbyte",
    columns,
    streams: new Map([["shop.c", { name: "shop.c", ...(namespace === undefined ? {} : { namespace }) }]]),
  });
  const CDC = { _ab_cdc_updated_at: "1970-01-01T00:01:40.000Z", _ab_cdc_deleted_at: null };

  test("a copied document has its fields and the columns of the change, and the time of its emission", () => {
    const before = Date.now();
    const [record] = recordsOf(encoderOf(messages("fields")), rowsOf([{ _id: 1, a: [1] }]));
    expect(record).toEqual({
      type: "RECORD",
      record: {
        stream: "shop.c",
        emitted_at: expect.any(Number) as number,
        data: { _id: 1, a: [1], _ab_cdc_cursor: "0000006400000005ffffffff", ...CDC },
      },
    });
    const { emitted_at: at } = bodyOf(record) as { emitted_at: number };
    expect(Number.isInteger(at) && at >= before && at <= Date.now()).toBe(true);
  });

  test("the namespace of the catalog stands in every record; without one there is none", () => {
    const record = (namespace?: string): Document =>
      recordsOf(encoderOf(messages("fields", namespace)), rowsOf([{ _id: 1 }]))[0]?.["record"] as Document;
    expect(record("shop")["namespace"]).toBe("shop");
    expect("namespace" in record()).toBe(false);
  });

  test("changes sort by their cursor, and a deletion has its key alone and the time of its end", () => {
    const data = recordsOf(encoderOf(messages("fields")), CHANGES).map(
      ({ record }) => (record as Document)["data"] as Document,
    );
    expect(data).toEqual([
      { _id: 1, _ab_cdc_cursor: "000000640000000100000001", ...CDC },
      { _id: 2, a: "é", _ab_cdc_cursor: "000000640000000200000001", ...CDC },
      { s: 7, _id: 3, _ab_cdc_cursor: "000000640000000300000001", ...CDC, _ab_cdc_deleted_at: CDC._ab_cdc_updated_at },
    ]);
    const cursors = data.map(({ _ab_cdc_cursor: cursor }) => cursor as string);
    expect(cursors.toSorted()).toEqual(cursors);
  });

  test("columns: data has the key and the whole document in one column, whatever its fields are called", () => {
    const encoder = encoderOf(messages("data"));
    const [row] = recordsOf(encoder, rowsOf([{ _id: 1, "": 1, data: 2, _ab_cdc_cursor: 3 }]));
    const { data } = bodyOf(row) as { data: Document };
    expect(data).toMatchObject({ _id: 1, data: { _id: 1, "": 1, data: 2, _ab_cdc_cursor: 3 } });
    expect(data["_ab_cdc_cursor"]).toBe("0000006400000005ffffffff");
    const [, , gone] = recordsOf(encoder, CHANGES);
    expect(Object.keys((bodyOf(gone) as { data: Document }).data)).toEqual([
      "_id",
      "_ab_cdc_cursor",
      "_ab_cdc_updated_at",
      "_ab_cdc_deleted_at",
    ]);
    expect(encoder.omissions().hiddenFields.size).toBe(0);
  });

  test("a field with the name of one of its columns is left out and counted: no name stands twice in a record", () => {
    const encoder = encoderOf(messages("fields"));
    const line = lineOf(encoder, rowsOf([{ _id: 1, _ab_cdc_deleted_at: "own", b: 1 }]));
    expect(line.match(/_ab_cdc_deleted_at/g)).toHaveLength(1);
    expect(line).toContain('"_id":1,"b":1,"_ab_cdc_cursor"');
    expect([...encoder.omissions().hiddenFields]).toEqual([["_ab_cdc_deleted_at", 1]]);
  });
});

describe("what would empty a row is no record", () => {
  const streams = new Map([
    ["shop.c", { stream: "c", version: 1, excluded: new Map(), hasChanges: true, columns: "fields" as const }],
  ]);
  const ALL: readonly PlatformMessages[] = [
    { kind: "airbyte", columns: "fields", streams: new Map([["shop.c", { name: "c" }]]) },
    { kind: "singer", streams },
    { kind: "flow", bindings: new Map([["shop.c", 0]]) },
  ];
  test.each(ALL.map((messages) => [messages.kind, messages] as const))(
    "%s: an update without its document",
    (_, messages) => {
      const encoder = encoderOf(messages);
      const batch: EventBatch = { ...batchOf([update(1)]), notes: ["deleted"] };
      expect(recordsOf(encoder, batch)).toEqual([]);
      expect(encoder.omissions().updates.deleted).toBe(1);
    },
  );

  test.each(["airbyte", "flow"] as const)("%s: the end of a collection, which is counted and named", (kind) => {
    const encoder = encoderOf(ALL.find((messages) => messages.kind === kind) as PlatformMessages);
    expect(recordsOf(encoder, batchOf([event(1, "drop", "c")]))).toEqual([]);
    expect(encoder.omissions()).toMatchObject({ ends: 1, ended: new Set(["shop.c"]) });
  });
});

describe("Singer", () => {
  function streamOf(more: Partial<SingerStream> = {}): SingerStream {
    return { stream: "shop-c", version: 5, excluded: new Map(), hasChanges: true, columns: "fields", ...more };
  }
  const messages = (stream: SingerStream): PlatformMessages => ({
    kind: "singer",
    streams: new Map([["shop.c", stream]]),
  });

  test("a record has its version, its time and the column of deletions", () => {
    const encoder = encoderOf(messages(streamOf()));
    const common = { type: "RECORD", stream: "shop-c", version: 5, time_extracted: "1970-01-01T00:01:40.000Z" };
    expect(recordsOf(encoder, rowsOf([{ _id: 1, a: 1 }]))).toEqual([
      { ...common, record: { _id: 1, a: 1, _sdc_deleted_at: null } },
    ]);
    expect(recordsOf(encoder, CHANGES).map(({ record }) => record as Document)).toEqual([
      { _id: 1, _sdc_deleted_at: null },
      { _id: 2, a: "é", _sdc_deleted_at: null },
      { s: 7, _id: 3, _sdc_deleted_at: "1970-01-01T00:01:40.000Z" },
    ]);
  });

  test("a stream without changes has no column of deletions, and an empty document is an empty record", () => {
    const encoder = encoderOf(messages(streamOf({ hasChanges: false })));
    const records = recordsOf(encoder, rowsOf([{ _id: 1 }, {}])).map(({ record }) => record as Document);
    expect(records).toEqual([{ _id: 1 }, {}]);
  });

  test("what is not selected is left out, at any depth of documents and arrays of documents, and nothing else", () => {
    const excluded = new Map<string, "whole" | ReadonlyMap<string, "whole">>([
      ["secret", "whole"],
      ["in", new Map([["b", "whole"]])],
    ]);
    const encoder = encoderOf(messages(streamOf({ excluded, hasChanges: false })));
    const documents = [
      { _id: 1, secret: { x: 1 }, in: { a: 1, b: 2, secret: 3 }, b: 4 },
      { _id: 2, in: 5 },
      { _id: 3, in: [{ b: 1, a: 2 }, 3, [{ b: 4 }, [{ a: 5, b: { a: 6 } }]], [], {}], a: [{ b: 7 }] },
    ];
    const records = recordsOf(encoder, rowsOf(documents)).map(({ record }) => record as Document);
    expect(records).toEqual([
      { _id: 1, in: { a: 1, secret: 3 }, b: 4 },
      { _id: 2, in: 5 },
      { _id: 3, in: [{ a: 2 }, 3, [{}, [{ a: 5 }]], [], {}], a: [{ b: 7 }] },
    ]);
  });

  test("the end of a collection makes its rows void, and the next ones have the new version", () => {
    const stream = streamOf();
    const encoder = encoderOf(messages(stream));
    const found = recordsOf(encoder, batchOf([insert(1, "c"), event(2, "drop", "c"), insert(3, "c")]));
    const version = versionAt(sortKey(clusterTime(100, 2), 1));
    expect(found.map(({ type, version: of }) => [type as string, of as number])).toEqual([
      ["RECORD", 5],
      ["ACTIVATE_VERSION", version],
      ["RECORD", version],
    ]);
    expect(JSON.parse(activateVersion(stream))).toEqual({ type: "ACTIVATE_VERSION", stream: "shop-c", version });
  });

  test("versions grow with each end, also where the clock of the server is behind", () => {
    const stream = streamOf({ version: Number.MAX_SAFE_INTEGER - 10 });
    const encoder = encoderOf(messages(stream));
    recordsOf(encoder, batchOf([event(1, "drop", "c"), event(2, "drop", "c")]));
    expect(stream.version).toBe(Number.MAX_SAFE_INTEGER - 8);
  });

  test("columns: data has the key and the document, without what is not selected", () => {
    const encoder = encoderOf(messages(streamOf({ columns: "data", excluded: new Map([["a", "whole"]]) })));
    const [row, , gone] = [
      ...recordsOf(encoder, rowsOf([{ _id: 1, a: 1, b: 2 }])),
      ...recordsOf(encoder, CHANGES).slice(1),
    ];
    expect(row?.["record"]).toEqual({ _id: 1, data: { _id: 1, b: 2 }, _sdc_deleted_at: null });
    expect(gone?.["record"]).toEqual({ _id: 3, _sdc_deleted_at: "1970-01-01T00:01:40.000Z" });
  });
});

describe("Flow", () => {
  const messages: PlatformMessages = { kind: "flow", bindings: new Map([["shop.c", 3]]) };

  test("a copied document is that of Estuary's connector, in its binding", () => {
    expect(recordsOf(encoderOf(messages), rowsOf([{ _id: "x", a: 1 }]))).toEqual([
      {
        captured: {
          binding: 3,
          doc: { _id: "x", a: 1, _meta: { op: "c", source: { db: "shop", collection: "c" }, snapshot: true } },
        },
      },
    ]);
  });

  test("changes have their operation, and the document before where the collection keeps it", () => {
    const source = { db: "shop", collection: "c" };
    const before = { fullDocumentBeforeChange: { _id: 4, a: 0 } };
    const withImage = event(4, "replace", "c", { documentKey: { _id: 4 }, fullDocument: { _id: 4, a: 1 }, ...before });
    const found = [...recordsOf(encoderOf(messages), CHANGES), ...recordsOf(encoderOf(messages), batchOf([withImage]))];
    expect(found.map(({ captured }) => (captured as { doc: Document }).doc)).toEqual([
      { _id: "1", _meta: { op: "c", source } },
      { _id: "2", a: "é", _meta: { op: "u", source } },
      { _id: "3", _meta: { op: "d", source } },
      { _id: "4", a: 1, _meta: { op: "u", source, before: { _id: "4", a: 0 } } },
    ]);
  });

  const id = new ObjectId("65f0c0ffee0000000000abcd");
  const KEYS: readonly (readonly [unknown, string])[] = [
    ["text", "text"],
    [id, "65f0c0ffee0000000000abcd"],
    [new Int32(7), "7"],
    [Long.fromString("9007199254740993"), "9007199254740993"],
    [new Double(1.5), "1.5"],
    [new Double(Number.NaN), "NaN"],
    [true, "true"],
    [null, "null"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [Decimal128.fromString("12.50"), "12.50"],
    [new Binary(Buffer.from([1, 2, 3]), 4), "AQID"],
    [{ b: 1, a: { d: id, c: [{ z: 1, y: 2 }] } }, '{"a":{"c":[{"y":2,"z":1}],"d":"65f0c0ffee0000000000abcd"},"b":1}'],
    [{ 'q"\\': "é\n" }, JSON.stringify({ 'q"\\': "é\n" })],
  ];
  test.each(KEYS)("the key %p is the text %s, in a copy, in a change and in a deletion alike", (key, text) => {
    const raw = BSON.deserialize(BSON.serialize({ _id: key }), { promoteValues: false });
    const changes = batchOf([
      event(1, "insert", "c", { documentKey: raw, fullDocument: { ...raw, a: 1 } }),
      deletion(2, { s: 1, ...raw }),
    ]);
    const encoder = encoderOf(messages);
    const all = [...recordsOf(encoder, rowsOf([{ ...raw, a: 1 }])), ...recordsOf(encoder, changes)];
    const docs = all.map(({ captured }) => (captured as { doc: Document }).doc);
    expect(docs.map(({ _id }) => _id as string)).toEqual([text, text, text]);
    expect(docs.map(({ a }) => a as unknown)).toEqual([1, 1, undefined]);
  });

  test("a nested _id stays what it is, and a field _meta of the document's own is left out", () => {
    const encoder = encoderOf(messages);
    const line = lineOf(encoder, rowsOf([{ a: { _id: 1 }, _id: 2, _meta: "own" }]));
    expect(line).toContain('"doc":{"a":{"_id":1},"_id":"2","_meta":{"op":"c"');
    expect(line.match(/"_meta"/g)).toHaveLength(1);
    expect([...encoder.omissions().hiddenFields]).toEqual([["_meta", 1]]);
  });
});
