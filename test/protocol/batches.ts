/** Batches of change events made by hand, and the lines that an encoder makes of a batch. */
import { expect } from "bun:test";
import { BSON, type Document, Long, Timestamp } from "mongodb";
import { ChangeEvent } from "../../src/codec/change-event.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import { parseCursorReply } from "../../src/source/cursor-reply.ts";
import { scanEvents } from "../../src/source/event-batch.ts";
import { findTerminalEvents } from "../../src/source/invalidation.ts";
import {
  type Batch,
  BEGINNING,
  type BsonDocuments,
  clusterTime,
  type EventBatch,
  type RowBatch,
} from "../../src/source/record.ts";

const WHOLE = [parseBinding("shop")];

export function documentsOf(list: readonly Document[]): BsonDocuments {
  const cursor = BSON.serialize({ firstBatch: list, id: Long.ZERO, ns: "shop.c" });
  return parseCursorReply({ cursor, operationTime: new Timestamp({ t: 1, i: 2 }) }).documents;
}

export function event(n: number, operationType: string, coll: string, more: Document = {}): Document {
  const ns = { db: "shop", coll };
  return { _id: { _data: `token ${n}` }, operationType, clusterTime: new Timestamp({ t: 100, i: n }), ns, ...more };
}

export function insert(n: number, coll: string): Document {
  return event(n, "insert", coll, { documentKey: { _id: n }, fullDocument: { _id: n } });
}

export function rename(n: number, from: string, to: string): Document {
  return event(n, "rename", from, { to: { db: "shop", coll: to } });
}

export function batchOf(list: readonly Document[], bindings = WHOLE): EventBatch {
  const documents = documentsOf(list);
  const scan = scanEvents(new ChangeEvent(), documents, { time: BEGINNING, sequence: 0 });
  const { ends } = findTerminalEvents(new ChangeEvent(), documents, scan, bindings);
  return { kind: "events", documents, sortKeys: scan.sortKeys, ends, position: { collections: {} } };
}

/** Each line with the namespace of the output that it is for. */
export function linesOf(encoder: Encoder, batch: Batch): [string, string][] {
  const { bytes, segments, lines } = encoder.encode(batch);
  const all = segments.flatMap(({ key, begin, end }) => {
    const text = new TextDecoder().decode(bytes.subarray(begin, end));
    const name = "namespace" in key ? key.namespace : key.kind;
    return text
      .trimEnd()
      .split("\n")
      .map((line): [string, string] => [name, line]);
  });
  expect(all).toHaveLength(lines);
  return all;
}

/** Documents of `shop.c`, copied at the second 100. */
export function rowsOf(list: readonly Document[], collection = "c"): RowBatch {
  const namespace = { db: "shop", collection };
  return { kind: "rows", namespace, documents: documentsOf(list), at: clusterTime(100, 5), position: undefined };
}
