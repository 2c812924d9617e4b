import { expect, test } from "bun:test";
import { keyOf } from "../../src/source/bson-key.ts";
import { headOfChunk } from "../../src/source/snapshot.ts";
import { BEGINNING, type BsonDocuments, type Chunk, type Documents } from "../../src/source/record.ts";
import { WorkerDocuments } from "../../src/source/reply-memory.ts";
import { bsonOf, replyOf } from "../support/reply.ts";

function replyOfFour(): BsonDocuments {
  return replyOf([{ _id: "a", n: 1 }, { n: 2, _id: "b" }, { _id: "c" }, { _id: "d" }]);
}

/** The last four documents of a range that had ten before. */
function chunkOf(documents: Documents): Chunk {
  const progress = { from: "from", to: "to", partition: 1, last: "d", documents: 14, done: true };
  return { documents, at: BEGINNING, exact: true, progress };
}

test.each([
  [1, 0, 11],
  [2, 1, 12],
  [3, 2, 13],
])("the head of %d documents ends with the key of the last, and its range is not done", (count, last, documents) => {
  const { bytes, offsets } = replyOfFour();
  const head = headOfChunk(chunkOf(replyOfFour()), count, true);
  expect(bsonOf(head).offsets).toEqual(offsets.slice(0, count));
  expect(head.documents.count).toBe(count);
  const key = keyOf(bytes, offsets[last] ?? -1);
  expect(head.progress).toEqual({ from: "from", to: "to", partition: 1, last: key, documents, done: false });
  expect([head.at, head.exact]).toEqual([BEGINNING, true]);
});

test("the head of a chunk of a view has no key: its documents may have no _id", () => {
  const documents = replyOf([{ n: 1 }, { n: 2 }]);
  const chunk: Chunk = { ...chunkOf(documents), progress: { documents: 2, done: true } };
  expect(headOfChunk(chunk, 1, false).progress).toEqual({ documents: 1, done: false });
});

test("a chunk that a worker has encoded is not cut: its lines are not known one by one", () => {
  const lines = {
    count: 2,
    byteLength: 20,
    lineBytes: new Uint8Array(8),
    segments: [],
    badDocuments: 0,
    invalidUtf8: 0,
    hiddenFields: [],
    idTypes: [],
  };
  expect(() => headOfChunk(chunkOf(new WorkerDocuments(lines)), 1, true)).toThrow("cannot be cut");
});
