/** `--limit`: ends a source after a number of documents, however often the pump opens it. */

import { must } from "../errors.ts";
import type { Batch, Position, Source } from "../source/record.ts";

export interface LimitedSource {
  /** Opens the source at `from`. Yields at most the documents that the limit leaves, and cuts the last batch if needed. */
  open(from: Position | undefined, signal: AbortSignal): AsyncIterable<Batch>;
  /** Whether the limit has been reached. */
  readonly isReached: boolean;
  /** Counts `documents` of those that were yielded as not taken: they were rolled back, and will be read again. */
  release(documents: number): void;
}

/**
 * Counts the documents that it yields: the pump writes every batch that it receives and releases what it rolls back, or the
 * run ends. At the limit the source is aborted, since it may be waiting (throttle.ts), and what it throws from then on does
 * not matter.
 */
export function take(source: Source, limit: number): LimitedSource {
  let left = limit;
  return {
    get isReached() {
      return left <= 0;
    },
    release(documents) {
      left += documents;
    },
    async *open(from, signal) {
      if (left <= 0) return;
      const enough = new AbortController();
      try {
        for await (const batch of source(from, AbortSignal.any([signal, enough.signal]), left)) {
          const { count } = batch.documents;
          const taken = count > left ? must(batch.head, "the head of a batch")(left) : batch;
          left -= Math.min(count, left);
          yield taken;
          if (left > 0) continue;
          enough.abort();
          return;
        }
      } catch (error) {
        if (left > 0) throw error;
      }
    },
  };
}
