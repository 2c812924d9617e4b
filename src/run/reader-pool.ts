/** What reads collections: in worker threads or in the main thread, at the pace of one throttle. */

import { availableParallelism } from "node:os";
import type { Settings } from "../config/options.ts";
import type { Connection } from "../connect/client.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import type { Logger } from "../observe/log.ts";
import { createThrottle, type ReadThrottle } from "../pipeline/throttle.ts";
import type { LineOptions } from "../protocol/line-encoder.ts";
import { majorityLagMs } from "../source/replication.ts";
import { localReader, readInSubRanges, type SubRangeReader } from "../source/sub-ranges.ts";
import { createPool } from "../workers/pool.ts";
import type { RangeReadable } from "../pipeline/backfill.ts";
import { type CollectionInfo, collectionUuid } from "../source/catalog.ts";
import { headOfChunk, readRange } from "../source/snapshot.ts";
import type { NonEmpty, RangeProgress } from "../source/record.ts";

export type ReadSettings = Pick<Settings, "workers" | "rateLimit" | "maxLag">;

/** The throttle for all reads of a run. */
export function throttleOf(
  { client, server }: Connection,
  { rateLimit, maxLag = 0 }: Partial<ReadSettings>,
  log: Logger,
): ReadThrottle {
  const canLag = server.topology === "replicaSet" && maxLag > 0;
  const measure = (signal: AbortSignal): Promise<number | undefined> => majorityLagMs(client, signal);
  return createThrottle({
    bytesPerSecond: rateLimit,
    lag: canLag ? { measure, mostMs: maxLag, warn: (message) => log.warn(message) } : undefined,
  });
}

export interface ReaderPool extends AsyncDisposable {
  readonly reader: SubRangeReader;
  /** The approximate size of a chunk, in bytes of BSON. */
  readonly chunkBytes: number;
}

export interface ReaderPoolSettings {
  readonly connection: Connection;
  readonly target: ConnectionString;
  readonly lines: LineOptions;
  readonly settings: Partial<ReadSettings> & Pick<Settings, "maxMemory">;
  /** The most bytes of a chunk (--rate-limit). */
  readonly mostChunkBytes: number;
}

const MIN_CHUNK_BYTES = 64 * 1024;
const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
/** As BSON and as JSON, in flight, and not yet collected as garbage. */
const CHUNKS_IN_MEMORY = 60;

/** Measured: a driver, the chunks, and the garbage of a thread. */
const BYTES_PER_WORKER = 170_000_000;
const MAX_WORKERS = 8;

/** Sub-ranges that the main thread requests at once, so that the server works on one while another is on the wire. */
const WIDTH = 4;
const FAR_WIDTH = 8;
/** From this round trip on, the wire would be idle for longer than a sub-range takes. */
const FAR_MS = 5;

/** Starts threads only when there is something to read. */
export function createReaderPool({
  connection,
  target,
  lines,
  settings,
  mostChunkBytes,
}: ReaderPoolSettings): ReaderPool {
  const { client, server, proxyOptions, roundTripMs } = connection;
  const standalone = server.topology === "standalone";
  const workers = settings.workers ?? workersFor(availableParallelism(), settings.maxMemory);
  const chunkBytes = Math.min(mostChunkBytes, chunkBytesFor(settings.maxMemory / workers));
  if (workers > 1) {
    const pool = createPool({ target, proxyOptions, standalone, chunkBytes, lines }, workers);
    return { reader: pool, chunkBytes, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
  }
  const width = roundTripMs < FAR_MS ? WIDTH : FAR_WIDTH;
  const reader = localReader({ client, standalone, chunkBytes }, width);
  return { reader, chunkBytes, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The default of --workers: half of the processors, because the server and the system need some. `maxMemory` in bytes. */
export function workersFor(processors: number, maxMemory: number): number {
  const affordable = Math.floor(maxMemory / BYTES_PER_WORKER);
  return Math.max(1, Math.min(MAX_WORKERS, Math.floor(processors / 2), affordable));
}

/**
 * A size of chunks at which a round trip does not matter (docs/decisions/004-one-find-per-chunk.md), and at which all chunks in memory
 * stay within `maxMemory` (bytes).
 */
function chunkBytesFor(maxMemory: number): number {
  return Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, Math.floor(maxMemory / CHUNKS_IN_MEMORY)));
}

/** What a collection is read with. */
export interface ReadingRun extends Pick<Connection, "client" | "server"> {
  readonly throttle: ReadThrottle;
  readonly readers: ReaderPool;
}

/**
 * A collection with an `_id` index, for the pipeline; whole-reads.ts has the others. `ranges`: those that this process reads,
 * if the collection was split (ranges.ts).
 */
export function rangeReadableOf(
  { client, server, throttle, readers }: ReadingRun,
  info: CollectionInfo,
  ranges?: NonEmpty<RangeProgress>,
): RangeReadable {
  const standalone = server.topology === "standalone";
  const { reader, chunkBytes } = readers;
  return {
    namespace: info.namespace,
    uuid: info.uuid,
    ranges,
    read(progress, signal, wanted, notBefore, copy) {
      const settings = { client, info, standalone, notBefore, chunkBytes };
      // Under a limit no sub-range is read ahead, and no worker encodes, so that a chunk can be cut.
      if (Number.isFinite(wanted)) return throttle.throttled(readRange(settings, progress, signal, wanted), signal);
      return readInSubRanges({ ...settings, reader, throttle, copy }, progress, signal);
    },
    head: (chunk, count) => headOfChunk(chunk, count, true),
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}
