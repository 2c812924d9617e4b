/**
 * A worker thread: reads sub-ranges over its own connection and sends them to the main thread as lines. Reads one chunk
 * ahead; encodes a chunk when the main thread asks for it, so that lines do not pile up.
 */

import { parentPort, workerData } from "node:worker_threads";

import { type Connection, connect } from "../connect/client.ts";
import { must, asMongotapError } from "../errors.ts";
import { prefetch } from "../lib/async.ts";
import { createLineEncoder } from "../protocol/line-encoder.ts";
import type { Chunk } from "../source/record.ts";
import { localReader, type SubRange } from "../source/sub-ranges.ts";
import type { EncodedChunk, Failure, FromWorker, ToWorker, WorkerSettings } from "./messages.ts";

const port = must(parentPort, "the main thread");
const settings = workerData as WorkerSettings;
const encoder = createLineEncoder(settings.lines);
/** The sub-ranges that are being read, by id. */
const running = new Map<number, Running>();
let connection: Promise<Connection> | undefined;

interface Running {
  readonly stop: AbortController;
  /** Resolves when the main thread asks for the next chunk. */
  asked: PromiseWithResolvers<void>;
}

port.on("message", (message: ToWorker) => {
  const known = running.get(message.id);
  if (message.kind === "start") void run(message.id, message.subRange);
  else if (message.kind === "next") known?.asked.resolve();
  else known?.stop.abort();
});

async function run(id: number, subRange: SubRange): Promise<void> {
  const stop = new AbortController();
  const self: Running = { stop, asked: Promise.withResolvers() };
  running.set(id, self);
  try {
    for await (const chunk of prefetch(read(subRange, stop.signal), 1)) {
      send({ kind: "chunk", id, chunk: encode(subRange, chunk) });
      await asked(self);
    }
    send({ kind: "end", id });
  } catch (error) {
    if (!stop.signal.aborted) send({ kind: "failed", id, failure: failureOf(error) });
  } finally {
    running.delete(id);
  }
}

async function asked(self: Running): Promise<void> {
  const { signal } = self.stop;
  const onStop = (): void => self.asked.reject(signal.reason);
  signal.addEventListener("abort", onStop, { once: true });
  try {
    signal.throwIfAborted();
    await self.asked.promise;
  } finally {
    signal.removeEventListener("abort", onStop);
    self.asked = Promise.withResolvers();
  }
}

async function* read(subRange: SubRange, signal: AbortSignal): AsyncGenerator<Chunk> {
  const { client } = await connected();
  yield* localReader({ client, ...settings }, 1).read(subRange, signal);
}

/** Connects once. The main thread owns the tunnel: it sets the allowed hosts and reports failures. */
function connected(): Promise<Connection> {
  const { target, proxyOptions } = settings;
  const route = proxyOptions && {
    proxyOptions,
    shown: "the tunnel",
    failure: undefined,
    setAllowedHosts: () => undefined,
  };
  connection ??= connect(target, "mongotap", new AbortController().signal, route).catch((error: unknown) => {
    connection = undefined; // the next sub-range tries again
    throw error;
  });
  return connection;
}

function encode(
  { namespace, copy, range: { partition } }: SubRange,
  { documents, at, exact, progress }: Chunk,
): EncodedChunk {
  const before = encoder.omissions();
  const { bytes, segments } = encoder.encode({
    kind: "rows",
    namespace,
    documents,
    at,
    position: undefined,
    ...(partition === undefined ? {} : { partition }),
    ...(copy === undefined ? {} : { copy }),
  });
  documents.release();
  const after = encoder.omissions();
  const encoded = {
    count: documents.count,
    byteLength: documents.byteLength,
    lineBytes: bytes.slice(),
    segments,
    badDocuments: after.badDocuments - before.badDocuments,
    invalidUtf8: after.invalidUtf8 - before.invalidUtf8,
    ...encoder.takeNotes(),
  };
  return { encoded, at, exact, progress };
}

function send(message: FromWorker): void {
  const bytes = message.kind === "chunk" ? message.chunk.encoded.lineBytes : undefined;
  port.postMessage(message, bytes === undefined ? [] : [bytes.buffer as ArrayBuffer]);
}

function failureOf(error: unknown): Failure {
  const { kind, message, hint, retryAfterMs } = asMongotapError(error);
  return { kind, message, hint, retryAfterMs };
}
