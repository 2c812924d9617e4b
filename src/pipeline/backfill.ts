/** Reads collections one after the other, range by range, as a Source. */

import { MongotapError } from "../errors.ts";
import { prefetch } from "../lib/async.ts";
import {
  type Chunk,
  type ClusterTime,
  documentCount,
  nameOf,
  type Namespace,
  type Position,
  type RangeProgress,
  type RowBatch,
  type Source,
} from "../source/record.ts";
import { fresh, isComplete, NOWHERE, withCollection, withRange } from "./progress.ts";

/** A collection that can be read by ranges. */
export interface Readable {
  readonly namespace: Namespace;
  readonly uuid: string | null;
  /** False where a read that was cut short can only begin again (views, time series). */
  readonly resumable: boolean;
  /** Yields the chunks behind `progress`; `notBefore`: no document may be older than that. */
  read(progress: RangeProgress, signal: AbortSignal, limit: number, notBefore?: ClusterTime): AsyncIterable<Chunk>;
  /** The identity of the collection at this moment; null where it has none or is gone. */
  currentUuid(): Promise<string | null>;
}

/** A batch is encoded while the next is on its way. */
const READ_AHEAD = 1;

export function backfillSource(collections: readonly Readable[]): Source {
  return async function* backfill(from, signal, limit) {
    let position = from ?? NOWHERE;
    let left = limit;
    for (const collection of collections) {
      for await (const batch of readCollection(collection, position, signal, left)) {
        left -= documentCount(batch.documents);
        position = batch.position ?? position;
        yield batch;
        if (left <= 0) return;
      }
    }
  };
}

async function* readCollection(
  collection: Readable,
  from: Position,
  signal: AbortSignal,
  limit: number,
): AsyncGenerator<RowBatch> {
  const name = nameOf(collection.namespace);
  let progress = from.collections[name] ?? fresh(collection.uuid, "copying");
  if (isComplete(progress)) return;
  checkSame(collection, progress.uuid, collection.uuid);
  let left = limit;
  for (const [index, range] of progress.ranges.entries()) {
    if (range.done) continue;
    for await (const chunk of prefetch(collection.read(range, signal, left), READ_AHEAD)) {
      left -= documentCount(chunk.documents);
      if (chunk.progress.done) checkSame(collection, collection.uuid, await collection.currentUuid());
      progress = withRange(progress, index, chunk.progress);
      const known = collection.resumable || chunk.progress.done;
      const position = known ? withCollection(from, name, progress) : undefined;
      yield { kind: "rows", namespace: collection.namespace, documents: chunk.documents, at: chunk.at, position };
    }
  }
}

/** A collection that was dropped and made again under its old name is another one: half of each is neither. */
export function checkSame({ namespace }: Readable, before: string | null, now: string | null): void {
  if (before === now) return;
  throw new MongotapError(
    "ended",
    `the collection ${nameOf(namespace)} was dropped or re-created while it was being copied`,
    {
      hint: "Start over with --fresh: what was written so far is of a collection that no longer exists.",
    },
  );
}
