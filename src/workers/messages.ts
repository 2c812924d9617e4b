/** The messages between the main thread and its workers. All of them can be cloned (structured clone). */

import type { ConnectionString } from "../connect/connection-string.ts";
import type { ProxyOptions } from "../connect/socks-proxy.ts";
import type { Kind } from "../errors.ts";
import type { LineOptions } from "../protocol/line-encoder.ts";
import type { SubRange } from "../source/sub-ranges.ts";
import type { ClusterTime, EncodedLines, RangeProgress } from "../source/record.ts";

/** The `workerData` of a worker. */
export interface WorkerSettings {
  readonly target: ConnectionString;
  /** The SOCKS proxy of the main thread's tunnel, if there is one. */
  readonly proxyOptions: ProxyOptions | undefined;
  /** Standalone servers do not support read concern `snapshot`. */
  readonly standalone: boolean;
  /** The approximate size of a chunk, in bytes of BSON. */
  readonly chunkBytes: number;
  readonly lines: LineOptions;
}

export type ToWorker =
  /** Starts reading a sub-range. The worker sends the first chunk at once, and one more for each `next`. */
  | { readonly kind: "start"; readonly id: number; readonly subRange: SubRange }
  | { readonly kind: "next"; readonly id: number }
  | { readonly kind: "stop"; readonly id: number };

export type FromWorker =
  | { readonly kind: "chunk"; readonly id: number; readonly chunk: EncodedChunk }
  | { readonly kind: "end"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };

/** A Chunk (source/record.ts) whose documents are encoded. */
export interface EncodedChunk {
  readonly encoded: EncodedLines;
  readonly at: ClusterTime;
  readonly exact: boolean;
  readonly progress: RangeProgress;
}

/** A MongotapError without its cause. */
export interface Failure {
  readonly kind: Kind;
  readonly message: string;
  readonly hint: string;
  readonly retryAfterMs: number;
}
