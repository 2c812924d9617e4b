/** Pump, merge and change stream in this process, with the server, the chunks and the position of one's choice. */
import type { Collection, MongoClient } from "mongodb";
import { rangeReadableOf } from "../../../src/run/reader-pool.ts";
import type { MongotapError } from "../../../src/errors.ts";
import { backfillSource, type RangeReadable } from "../../../src/pipeline/backfill.ts";
import { captureSource } from "../../../src/pipeline/capture.ts";
import { createThrottle } from "../../../src/pipeline/throttle.ts";
import { pump, type PumpResult } from "../../../src/pipeline/pump.ts";
import { take } from "../../../src/pipeline/limit.ts";
import { createLineEncoder } from "../../../src/protocol/line-encoder.ts";
import type { Sink } from "../../../src/sink/sink.ts";
import { AdaptiveBatchSize } from "../../../src/source/adaptive-batch.ts";
import { listCollections } from "../../../src/source/catalog.ts";
import { ChangeStream } from "../../../src/source/change-stream.ts";
import { LookupStream } from "../../../src/source/lookup-stream.ts";
import { localReader } from "../../../src/source/sub-ranges.ts";
import type { Position } from "../../../src/source/record.ts";
import { type Line, linesOf } from "../../cli/tap.ts";

export interface Capture extends AsyncDisposable {
  start(): void;
  /** What ended it; rejects with the error of a run that failed. Only after `start()`. */
  readonly done: Promise<PumpResult["outcome"]>;
  lines(): Line[];
  /** Why the source was opened again, so far. */
  readonly retries: readonly MongotapError[];
  /** Where the next run would begin. */
  readonly position: Position | undefined;
}

/** The collection as the server of `client` returns it. */
export async function readableFrom(
  client: MongoClient,
  { dbName, collectionName }: Collection<never>,
): Promise<RangeReadable> {
  const infos = await listCollections(client, dbName);
  const info = infos.find(({ namespace }) => namespace.collection === collectionName);
  if (!info) throw new Error(`no collection ${collectionName}`);
  const server = { version: [6, 0, 5], topology: "replicaSet", setName: "rs", setId: undefined } as const;
  const reader = localReader({ client, standalone: false, chunkBytes: CHUNK }, 4);
  const readers = { reader, chunkBytes: CHUNK, [Symbol.asyncDispose]: () => Promise.resolve() };
  return rangeReadableOf({ client, server, readers, throttle: UNPACED }, info);
}

const UNPACED = createThrottle({ bytesPerSecond: undefined, lag: undefined });
const CHUNK = 4 * 1024 * 1024;

/** A capture (or backfill) of the collections until it has caught up, from `from` or the beginning, into memory. */
export function captureOf(
  client: MongoClient,
  collections: readonly RangeReadable[],
  from?: Position,
  command: "capture" | "backfill" = "capture",
): Capture {
  const retries: MongotapError[] = [];
  const stopped = new AbortController();
  let text = "";
  let position = from;
  let done: Promise<PumpResult> | undefined;
  const decoder = new TextDecoder();
  const sink: Sink = {
    mayBlock: false,
    written: () => Promise.resolve(),
    write: (bytes) => Promise.resolve(void (text += decoder.decode(bytes))),
    flush: () => Promise.resolve([]),
    onStateSaved: () => Promise.resolve(),
    finalize: () => Promise.resolve([]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const start = (): void => {
    done = pump({
      source: take(command === "backfill" ? backfillSource(collections) : mergedSource(client, collections), Infinity),
      from,
      encoder: createLineEncoder({
        envelope: "meta",
        transcoding: { format: "relaxed" },
        onBadDocument: "fail",
        version: "0",
      }),
      sink,
      save: (saved) => Promise.resolve(void (position = saved)),
      retryForMs: 60_000,
      signal: stopped.signal,
      onWritten: () => undefined,
      savepoint: () => () => undefined,
      onRetry: (error) => void retries.push(error),
    });
    done.catch(() => undefined); // awaited through `done`
  };
  return {
    start,
    retries,
    get done() {
      if (done === undefined) throw new Error("start() it first");
      return done.then(({ outcome }) => outcome);
    },
    get position() {
      return position;
    },
    lines: () => linesOf(text),
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await done?.catch(() => undefined);
    },
  };
}

function mergedSource(client: MongoClient, collections: readonly RangeReadable[]): ReturnType<typeof captureSource> {
  const bindings = collections.map(({ namespace }) => namespace);
  const shape = { bindings, fullDocument: "default", beforeImages: false, splitLargeEvents: false } as const;
  return captureSource({
    async open(at, signal) {
      const settings = { client, ...shape, sharded: false, batchSize: new AdaptiveBatchSize() };
      return new LookupStream(await ChangeStream.open(settings, at ?? "now", signal), { client, signal });
    },
    untilCaughtUp: true,
    awaitMs: 500,
    collections: () => Promise.resolve(collections),
    throttle: UNPACED,
    onHistoryLost: "fail",
    onCopyAgain: () => undefined,
  });
}
