/** Creates what reads collections: a pool of worker threads or the main thread, and the throttle that both obey. */

import { availableParallelism } from "node:os";
import type { Connection } from "../connect/client.ts";
import { createThrottle, type ReadThrottle } from "../pipeline/throttle.ts";
import { majorityLagMs } from "../source/server-time.ts";
import type { Invocation } from "./invocation.ts";
import type { Settings } from "../config/options.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import type { LineOptions } from "../protocol/line-encoder.ts";
import { localReader, type SubRangeReader } from "../source/sub-ranges.ts";
import { createPool } from "../workers/pool.ts";

/** One for a whole run: what is read at once shares it. */
export function throttleOf(
  { client, server }: Connection,
  { settings, log }: Pick<Invocation, "settings" | "log">,
): ReadThrottle {
  const { rateLimit, maxLag } = settings;
  const canLag = server.topology === "replicaSet" && maxLag > 0;
  const measure = (signal: AbortSignal): Promise<number | undefined> => majorityLagMs(client, signal);
  return createThrottle({
    bytesPerSecond: rateLimit,
    lag: canLag ? { measure, mostMs: maxLag, warn: (message) => log.warn(message) } : undefined,
  });
}

/** A PieceReader, and how large the chunks are that it reads. */
export interface ReaderPool extends AsyncDisposable {
  readonly reader: SubRangeReader;
  /** About how many bytes of BSON a chunk has. */
  readonly chunkBytes: number;
}

export interface ReaderPoolSettings {
  readonly connection: Connection;
  readonly target: ConnectionString;
  readonly lines: LineOptions;
  readonly settings: Pick<Settings, "workers" | "maxMemory">;
  /** Chunks may not have more bytes than that (--rate-limit). */
  readonly mostChunkBytes: number;
}

const LEAST_CHUNK = 64 * 1024;
const MOST_CHUNK = 4 * 1024 * 1024;
/** As BSON and as JSON, under way, and waiting for the collector. */
const CHUNKS_IN_MEMORY = 60;

/** What each thread needs, as measured: a second driver, its chunks, and what waits for its own collector. */
const BYTES_PER_WORKER = 170_000_000;
const MOST_WORKERS = 8;

/** Pieces that the main thread has on the wire at once: the server then works on one while another is on its way. */
const WIDTH = 4;
const FAR_WIDTH = 8;
/** From here on a server is far: the wire is idle for longer than a piece takes. */
const FAR_MS = 5;

/** Threads are started when there is something for them to read. */
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

/** How many threads read where the user does not say: the server and the system need processors too. */
export function workersFor(processors: number, maxMemory: number): number {
  const affordable = Math.floor(maxMemory / BYTES_PER_WORKER);
  return Math.max(1, Math.min(MOST_WORKERS, Math.floor(processors / 2), affordable));
}

/**
 * Chunks large enough that a round trip does not matter (docs/decisions/004-one-find-per-chunk.md), small enough that
 * all that are under way at once stay within `maxMemory` (bytes).
 */
function chunkBytesFor(maxMemory: number): number {
  return Math.max(LEAST_CHUNK, Math.min(MOST_CHUNK, Math.floor(maxMemory / CHUNKS_IN_MEMORY)));
}
