/** When the memory of a reply may be read, and when it is freed. */
import { describe, expect, test } from "bun:test";
import { BSON, Long } from "mongodb";
import { MongotapError } from "../../src/errors.ts";
import type { BadDocumentPolicy } from "../../src/protocol/bad-documents.ts";
import { createLineEncoder } from "../../src/protocol/line-encoder.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import { parseCursorReply } from "../../src/source/cursor-reply.ts";
import { type Batch, BEGINNING, type BsonDocuments, type Documents, sortKey } from "../../src/source/record.ts";
import { DocumentsWithReplies, ReplyDocuments, ReplyMemory, WorkerDocuments } from "../../src/source/reply-memory.ts";
import { replyOf } from "../support/reply.ts";

/** Large enough that its memory is freed at once. */
const TEXT = "x".repeat(100_000);

function ownedReply(): BsonDocuments {
  return replyOf([{ _id: 1, text: TEXT }, { _id: 2 }, { _id: 3 }]);
}

/** The kind and message of what `work` throws. */
function thrownBy(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof MongotapError ? `${error.kind}: ${error.message}` : String(error);
  }
  return "nothing";
}

const USED = "bug: reply memory was used after its release";
const TWICE = "bug: reply memory was released twice";

function encoderOf(onBadDocument: BadDocumentPolicy): Encoder {
  return createLineEncoder({ envelope: "none", transcoding: { format: "relaxed" }, onBadDocument, version: "0" });
}

function rowsOf(documents: Documents): Batch {
  return { kind: "rows", namespace: { db: "a", collection: "b" }, documents, at: BEGINNING, position: undefined };
}

describe("documents of a reply", () => {
  test("are freed by their release; sizes stay readable, nothing else does", () => {
    const documents = ownedReply();
    const { bytes, byteLength } = documents;
    documents.release();
    expect([bytes.length, documents.count, documents.byteLength]).toEqual([0, 3, byteLength]);
    expect(thrownBy(() => documents.bytes)).toBe(USED);
    expect(thrownBy(() => documents.offsets)).toBe(USED);
    expect(thrownBy(() => documents.release())).toBe(TWICE);
  });

  test("are never freed where something else refers to the memory, but cannot be read after their release", () => {
    const bytes = BSON.serialize({ _id: 1, text: TEXT });
    const documents = new ReplyDocuments(new ReplyMemory(bytes, false), [0]);
    documents.release();
    expect(bytes.length).toBeGreaterThan(TEXT.length);
    expect(thrownBy(() => documents.bytes)).toBe(USED);
  });

  test("hand their memory on to a choice of them", () => {
    const documents = ownedReply();
    const chosen = documents.only(documents.offsets.slice(1));
    const { bytes } = chosen;
    expect([chosen.count, chosen.byteLength]).toEqual([2, documents.byteLength]);
    chosen.release();
    expect(bytes.length).toBe(0);
    expect(thrownBy(() => documents.bytes)).toBe(USED);
    expect(thrownBy(() => documents.release())).toBe(TWICE);
  });

  test("are split into parts, each released by itself: the last one frees the memory", () => {
    const documents = ownedReply();
    const { bytes, offsets } = documents;
    const [head, rest] = documents.split(1);
    expect([head.count, rest.count, rest.offsets[0]]).toEqual([1, 2, offsets[1] ?? -1]);
    head.release();
    expect(thrownBy(() => head.bytes)).toBe(USED);
    expect(thrownBy(() => head.release())).toBe(TWICE);
    const [second, third] = rest.split(1);
    third.release();
    expect(second.bytes.length).toBe(documents.byteLength);
    second.release();
    expect(bytes.length).toBe(0);
  });

  test("are replaced by their parts", () => {
    const documents = ownedReply();
    const [head, rest] = documents.split(1);
    for (const misuse of [() => documents.bytes, () => documents.split(1)]) expect(thrownBy(misuse)).toBe(USED);
    expect(thrownBy(() => documents.release())).toBe(TWICE);
    expect(head.bytes).toBe(rest.bytes);
  });

  test("free the replies that they carry with the last of their parts", () => {
    const [documents, reply] = [ownedReply(), ownedReply()];
    const { bytes } = reply;
    const [head, rest] = new DocumentsWithReplies(documents, [reply]).split(1);
    expect([head.count, rest.count, head.byteLength]).toEqual([1, 2, documents.byteLength + reply.byteLength]);
    const [second, third] = rest.split(1);
    for (const part of [third, head]) part.release();
    expect(bytes.length).toBe(reply.byteLength);
    second.release();
    expect(bytes.length).toBe(0);
  });

  test("own the memory of the reply that they were found in", () => {
    const cursor = BSON.serialize({ firstBatch: [{ text: TEXT }], id: Long.ZERO, ns: "a.b" });
    parseCursorReply({ cursor: Uint8Array.from(cursor) }).documents.release();
    const own = Uint8Array.from(cursor);
    parseCursorReply({ cursor: own }).documents.release();
    expect(own.length).toBe(0);
  });
});

test("lines of a worker are freed by their release, and cannot be read after it", () => {
  const lineBytes = new Uint8Array(100_000);
  const counts = {
    count: 2,
    byteLength: 50,
    segments: [],
    badDocuments: 0,
    invalidUtf8: 0,
    hiddenFields: [],
    idTypes: [],
  };
  const documents = new WorkerDocuments({ ...counts, lineBytes });
  expect(encoderOf("fail").encode(rowsOf(documents)).bytes).toBe(lineBytes);
  documents.release();
  expect([lineBytes.length, documents.count, documents.byteLength]).toEqual([0, 2, 50]);
  expect(thrownBy(() => documents.lineBytes)).toBe(USED);
  expect(thrownBy(() => documents.release())).toBe(TWICE);
});

describe("the encoder", () => {
  test("leaves the memory of a batch alone: it can be encoded again", () => {
    const batch = rowsOf(ownedReply());
    const encoder = encoderOf("fail");
    const first = encoder.encode(batch).bytes.slice();
    expect(encoder.encode(batch).bytes).toEqual(first);
  });

  test.each(["fail", "skip", "quarantine"] as const)(
    "calls a batch that was released a bug, never a bad document (%s)",
    (policy) => {
      const encoder = encoderOf(policy);
      const documents = ownedReply();
      documents.release();
      const position = { collections: {} };
      expect(thrownBy(() => encoder.encode(rowsOf(documents)))).toBe(USED);
      const sortKeys = [1, 2, 3].map((n) => sortKey(BEGINNING, n));
      expect(thrownBy(() => encoder.encode({ kind: "events", documents, sortKeys, position }))).toBe(USED);
      expect(encoder.omissions().badDocuments).toBe(0);
    },
  );
});
