/** What an encoder has counted of lines that are taken back. */
import { expect, test } from "bun:test";
import { type Document, ObjectId, Timestamp } from "mongodb";
import type { EnvelopeName } from "../../src/protocol/envelopes.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import {
  type Batch,
  type BsonDocuments,
  clusterTime,
  type CollectionEnd,
  type EncodedDocuments,
  NO_DOCUMENTS,
  type RowBatch,
  sortKey,
} from "../../src/source/record.ts";
import { replyOf } from "../support/reply.ts";

function rowsOf(documents: RowBatch["documents"]): Batch {
  const namespace = { db: "shop", collection: "orders" };
  return { kind: "rows", namespace, documents, at: clusterTime(1, 1), position: undefined };
}

function eventsOf(documents: BsonDocuments, ends: readonly CollectionEnd[] = []): Batch {
  const sortKeys = documents.offsets.map((_, i) => sortKey(clusterTime(2, i), 0));
  return { kind: "events", documents, sortKeys, ends, position: { collections: {} } };
}

function event(operationType: string, id: unknown, more: Document = {}): Document {
  const ns = { db: "shop", coll: "orders" };
  const clusterTimeOfIt = new Timestamp({ t: 2, i: 1 });
  return { _id: { _data: "t" }, operationType, clusterTime: clusterTimeOfIt, ns, documentKey: { _id: id }, ...more };
}

/** The documents as one reply, in which the text "?" is no UTF-8. */
function damaged(...documents: readonly Document[]): BsonDocuments {
  const reply = replyOf(documents);
  for (let i = 0; i < reply.bytes.length; i += 1) if (reply.bytes[i] === 0x3f) reply.bytes[i] = 0xff;
  return reply;
}

/** Documents and events of which something is counted, in `envelope`. */
function countedIn(envelope: EnvelopeName): Batch[] {
  const worker = createLineEncoder(optionsOf(envelope));
  const { bytes, segments } = worker.encode(rowsOf(damaged({ _id: 4, _meta: 1, text: "?" })));
  const encoded: EncodedDocuments = {
    kind: "encoded",
    count: 1,
    byteLength: 30,
    lineBytes: bytes.slice(),
    segments,
    badDocuments: 1,
    invalidUtf8: 1,
    ...worker.takeNotes(),
    release: () => undefined,
  };
  const end: CollectionEnd = {
    name: "shop.orders",
    reason: "copied again",
    sortKey: sortKey(clusterTime(3, 1), 0),
    ms: 3_000,
  };
  return [
    rowsOf(damaged({ _id: new ObjectId(), _meta: 1, text: "?" }, { _id: "text", __op: 1 })),
    rowsOf(encoded),
    eventsOf(damaged(event("update", "a", { updateDescription: {} }), event("delete", "b"), event("new kind", "c"))),
    eventsOf(NO_DOCUMENTS, [end]),
  ];
}

function optionsOf(envelope: EnvelopeName): Parameters<typeof createLineEncoder>[0] {
  return { envelope, transcoding: { format: "plain" }, onBadDocument: "skip", version: "9" };
}

function shown(encoder: Encoder): unknown {
  return structuredClone(encoder.omissions());
}

test.each(["none", "meta", "flat"] as const)(
  "every count of --envelope %s goes back to a savepoint, and again to the same one",
  (envelope) => {
    const encoder = createLineEncoder(optionsOf(envelope));
    const encodeAll = (): void => {
      for (const batch of countedIn(envelope)) encoder.encode(batch);
    };
    const nothing = shown(encoder);
    const toNothing = encoder.savepoint();
    encodeAll();
    const before = shown(encoder);
    expect(before).not.toEqual(nothing);
    const restore = encoder.savepoint();
    for (const _ of [1, 2]) {
      encodeAll();
      expect(shown(encoder)).not.toEqual(before);
      restore();
      expect(shown(encoder)).toEqual(before);
    }
    toNothing();
    expect(shown(encoder)).toEqual(nothing);
    encodeAll();
    expect(shown(encoder)).toEqual(before);
  },
);

test("the batches of this test change every count in one of the envelopes", () => {
  const changed = (["none", "meta", "flat"] as const).flatMap((envelope) => {
    const encoder = createLineEncoder(optionsOf(envelope));
    const nothing = encoder.omissions();
    const initial = structuredClone(nothing);
    for (const batch of countedIn(envelope)) encoder.encode(batch);
    const counts = Object.entries(encoder.omissions());
    return counts
      .filter(([name, count]) => !Bun.deepEquals(count, initial[name as keyof typeof initial]))
      .map(([name]) => name);
  });
  expect(new Set(changed)).toEqual(new Set(Object.keys(createLineEncoder(optionsOf("none")).omissions())));
});
