/** What the main thread and its workers tell each other. Everything in here can be cloned between threads. */

import type { ConnectionString } from "../connect/connection-string.ts";
import type { ProxyOptions } from "../connect/socks-proxy.ts";
import type { Kind } from "../errors.ts";
import type { LineOptions } from "../protocol/line-encoder.ts";
import type { SubRange } from "../source/sub-ranges.ts";
import type { ClusterTime, EncodedLines, RangeProgress } from "../source/record.ts";

/** What a worker is told when it is started. */
export interface WorkerSettings {
  readonly target: ConnectionString;
  /** The door of the tunnel, where the server is not reached directly. */
  readonly proxyOptions: ProxyOptions | undefined;
  /** Standalone servers know no read concern `snapshot`. */
  readonly standalone: boolean;
  /** About how many bytes of BSON a chunk shall have. */
  readonly chunkBytes: number;
  readonly lines: LineOptions;
}

export type ToWorker =
  /** The first chunk is sent as soon as it is there, each later one when it has been asked for. */
  | { readonly kind: "start"; readonly id: number; readonly subRange: SubRange }
  | { readonly kind: "next"; readonly id: number }
  | { readonly kind: "stop"; readonly id: number };

export type FromWorker =
  | { readonly kind: "chunk"; readonly id: number; readonly chunk: EncodedChunk }
  | { readonly kind: "end"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };

/** A Chunk (source/record.ts) whose documents are lines. */
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
