/** Backfill as a Source: collections one after the other, each range by range. */

import { MongotapError, must } from "../errors.ts";
import { inOrder, prefetch } from "../lib/async.ts";
import {
  type Chunk,
  type ClusterTime,
  nameOf,
  type Namespace,
  type NonEmpty,
  type Position,
  type RangeProgress,
  type RowBatch,
  type Source,
} from "../source/record.ts";
import { copyOf, EMPTY_POSITION, isComplete, positionOnly, withCollection, withRange } from "./position.ts";

/** A collection that can be read by ranges. */
export interface RangeReadable {
  readonly namespace: Namespace;
  readonly uuid: string | null;
  /** Its ranges at the beginning; absent: one range over all keys. */
  readonly ranges?: NonEmpty<RangeProgress> | undefined;
  /**
   * Yields the chunks behind `progress`, with documents not older than `notBefore`. `wanted` is a hint: the consumer
   * takes at most that many documents. `copy` is the number of the copy, for documents that workers encode.
   */
  read(
    progress: RangeProgress,
    signal: AbortSignal,
    wanted: number,
    notBefore?: ClusterTime,
    copy?: number,
  ): AsyncIterable<Chunk>;
  /** The first `count` documents of a chunk (at least 1, not all), with the progress behind the last of them. */
  head(chunk: Chunk, count: number): Chunk;
  /** The UUID of the collection now; null where it has none or no longer exists. */
  currentUuid(): Promise<string | null>;
}

/** Chunks per range that are read ahead: one is read while the one before is encoded. */
const READ_AHEAD = 1;
/** Ranges that are read at once, for small collections: the first chunk of the next comes while the last is written. */
const RANGES_AHEAD = 2;

export function backfillSource(collections: readonly RangeReadable[]): Source {
  return async function* backfill(from, signal, wanted) {
    const known = from ?? EMPTY_POSITION;
    const begun = withRanges(known, collections);
    // Saved before the first document, so that every later run uses the same split points.
    if (begun !== known) yield positionOnly(begun);
    yield* readAll(collections, begun, signal, wanted);
  };
}

/** New collections with several ranges enter the position at once. */
function withRanges(from: Position, collections: readonly RangeReadable[]): Position {
  let position = from;
  for (const { namespace, uuid, ranges } of collections) {
    const name = nameOf(namespace);
    if (ranges && !position.collections[name])
      position = withCollection(position, name, { uuid, phase: "copying", ranges });
  }
  return position;
}

async function* readAll(
  collections: readonly RangeReadable[],
  from: Position,
  signal: AbortSignal,
  wanted: number,
): AsyncGenerator<RowBatch> {
  let position = from;
  const read = async function* (task: Task): AsyncGenerator<readonly [Task, Chunk]> {
    const { collection, range } = task;
    for await (const chunk of prefetch(collection.read(range, signal, wanted), READ_AHEAD)) {
      if (chunk.progress.done) checkSame(collection, collection.uuid, await collection.currentUuid());
      yield [task, chunk];
    }
  };
  // Under a limit the next range may not be needed.
  const width = Number.isFinite(wanted) ? 1 : RANGES_AHEAD;
  for await (const [task, chunk] of inOrder(tasksOf(collections, from), width, read)) {
    const batch = rowsOf(task, chunk, position);
    position = batch.position ?? position;
    yield batch;
  }
}

/** A chunk as a batch; `before` is the position before it. */
function rowsOf(task: Task, chunk: Chunk, before: Position): RowBatch {
  const { namespace, uuid } = task.collection;
  const { documents, at, progress, partial } = chunk;
  const { partition } = task.range; // the progress of a view does not have it
  const name = nameOf(namespace);
  const copy = must(copyOf(before.collections[name], uuid), "the copy of a collection that is being read");
  const position = withCollection(before, name, withRange(copy, task.index, progress));
  return {
    kind: "rows",
    namespace,
    documents,
    at,
    ...(partition === undefined ? {} : { partition }),
    position: partial ? undefined : position,
    head: (count) => rowsOf(task, task.collection.head(chunk, count), before),
  };
}

/** A range with documents left to read. */
interface Task {
  readonly collection: RangeReadable;
  readonly index: number;
  readonly range: RangeProgress;
}

async function* tasksOf(collections: readonly RangeReadable[], from: Position): AsyncGenerator<Task> {
  for (const collection of collections) {
    const copy = copyOf(from.collections[nameOf(collection.namespace)], collection.uuid);
    if (copy === undefined || isComplete(copy)) continue;
    checkSame(collection, copy.uuid, collection.uuid);
    for (const [index, range] of copy.ranges.entries()) if (!range.done) yield { collection, index, range };
  }
}

/**
 * A collection that was dropped and re-created has the same name and another UUID: half of each would be neither.
 * @throws MongotapError `ended` where the UUIDs differ
 */
function checkSame({ namespace }: RangeReadable, before: string | null, now: string | null): void {
  if (before === now) return;
  throw new MongotapError(
    "ended",
    `the collection ${nameOf(namespace)} was dropped or re-created while it was being copied`,
    {
      hint: "Start over with --fresh: what was written so far is of a collection that no longer exists.",
    },
  );
}
