/** Reads collections one after the other, range by range, as a Source. */

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
import { copyOf, EMPTY_POSITION, isComplete, positionOnly, withCollection, withRange } from "./progress.ts";

/** A collection that can be read by ranges. */
export interface RangeReadable {
  readonly namespace: Namespace;
  readonly uuid: string | null;
  /** False where a read that was cut short can only begin again (views, time series). */
  readonly resumable: boolean;
  /** What it has been cut into, for where nothing of it has been read; absent: one range over all keys. */
  readonly ranges?: NonEmpty<RangeProgress> | undefined;
  /** Yields the chunks behind `progress`; `notBefore`: no document may be older than that. */
  read(progress: RangeProgress, signal: AbortSignal, limit: number, notBefore?: ClusterTime): AsyncIterable<Chunk>;
  /** The identity of the collection at this moment; null where it has none or is gone. */
  currentUuid(): Promise<string | null>;
}

/** A batch is encoded while the next is on its way. */
const READ_AHEAD = 1;
/** Of ranges, small collections most of all: the first documents of the next come while the last are written. */
const RANGES_AHEAD = 2;

export function backfillSource(collections: readonly RangeReadable[]): Source {
  return async function* backfill(from, signal, limit) {
    const known = from ?? EMPTY_POSITION;
    const begun = withCuts(known, collections);
    // So that what was cut is cut the same way for ever, and what is left to others is known to be.
    if (begun !== known) yield positionOnly(begun);
    yield* readAll(collections, begun, signal, limit);
  };
}

function withCuts(from: Position, collections: readonly RangeReadable[]): Position {
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
  limit: number,
): AsyncGenerator<RowBatch> {
  let position = from;
  let left = limit;
  const read = async function* (task: Task): AsyncGenerator<readonly [Task, Chunk]> {
    const { collection, range } = task;
    for await (const chunk of prefetch(collection.read(range, signal, left), READ_AHEAD)) {
      if (chunk.progress.done) checkSame(collection, collection.uuid, await collection.currentUuid());
      yield [task, chunk];
    }
  };
  // With a limit nothing is read that is not wanted.
  const width = Number.isFinite(limit) ? 1 : RANGES_AHEAD;
  for await (const [{ collection, index, range }, { documents, at, progress }] of inOrder(
    tasksOf(collections, from),
    width,
    read,
  )) {
    const { namespace, uuid, resumable } = collection;
    const name = nameOf(namespace);
    left -= documents.count;
    const before = must(copyOf(position.collections[name], uuid), "the copy of what is being read");
    position = withCollection(position, name, withRange(before, index, progress));
    const { partition } = range; // a view that is read as a whole has progress that knows of none
    const rows = { kind: "rows", namespace, documents, at, ...(partition === undefined ? {} : { partition }) } as const;
    yield { ...rows, position: resumable || progress.done ? position : undefined };
    if (left <= 0) return;
  }
}

/** A range that has not been read to its end. */
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

/** A collection that was dropped and made again under its old name is another one: half of each is neither. */
export function checkSame({ namespace }: RangeReadable, before: string | null, now: string | null): void {
  if (before === now) return;
  throw new MongotapError(
    "ended",
    `the collection ${nameOf(namespace)} was dropped or re-created while it was being copied`,
    {
      hint: "Start over with --fresh: what was written so far is of a collection that no longer exists.",
    },
  );
}
