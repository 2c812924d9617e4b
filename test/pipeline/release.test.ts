/** When the pump releases the memory of documents (source/reply-memory.ts). */
import { expect, test } from "bun:test";
import { outputKeyOf } from "../../src/lib/output-key.ts";
import { pump } from "../../src/pipeline/pump.ts";
import { take } from "../../src/pipeline/limit.ts";
import type { Encoder } from "../../src/protocol/protocol.ts";
import type { Documents, Source } from "../../src/source/record.ts";
import { WorkerDocuments } from "../../src/source/reply-memory.ts";
import { at, documentsOf, lineEncoder, LoggingSink, rows } from "./fakes.ts";

/** Large enough that their memory is freed at once. */
const LINES = 100_000;
const lineBytes = new Uint8Array(LINES);
const segments = [{ key: outputKeyOf("shop.c"), begin: 0, end: LINES, lines: 2 }];
const workerLines = {
  count: 2,
  byteLength: 9,
  badDocuments: 0,
  invalidUtf8: 0,
  hiddenFields: [],
  idTypes: [],
  segments,
  lineBytes,
};

test("pump() releases BSON once it is encoded, and lines of a worker once they are written", async () => {
  const log: string[] = [];
  const logged = <D extends Documents>(documents: D): D => {
    const release = documents.release.bind(documents);
    return Object.assign(documents, { release: () => [log.push("release"), release()] });
  };
  const encoder: Encoder = {
    ...lineEncoder,
    encode(batch) {
      log.push("encode");
      if (batch.documents.kind === "bson") return lineEncoder.encode(batch);
      return { bytes: batch.documents.lineBytes, segments, lines: 2 };
    },
  };
  const source: Source = async function* () {
    yield { ...rows(3, at(1)), documents: logged(documentsOf(3)) };
    yield { ...rows(2, at(2)), documents: logged(new WorkerDocuments(workerLines)) };
  };
  await pump({
    source: take(source, Infinity),
    from: undefined,
    encoder,
    sink: new LoggingSink(log),
    save: undefined,
    retryForMs: 0,
    signal: new AbortController().signal,
    onWritten: ({ documents }, lines, bytes) =>
      log.push(`${documents.count} documents, ${lines} lines, ${bytes} bytes`),
    savepoint: () => () => undefined,
    onRetry: () => undefined,
  });
  expect(log).toEqual([
    "encode",
    "release",
    "write 3",
    "3 documents, 3 lines, 3 bytes",
    "encode",
    `write ${LINES}`,
    `2 documents, 2 lines, ${LINES} bytes`,
    "release",
  ]);
});
