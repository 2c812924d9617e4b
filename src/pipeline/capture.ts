/**
 * Backfill and change stream as one Source, merged by time (merge.ts). The stream advances with every chunk, however
 * long the backfill takes, so the oplog cannot run away from it.
 * The states of a collection on the way are those of CollectionState (source/record.ts).
 */

import { MongotapError } from "../errors.ts";
import { isSettledWithin, prefetch } from "../lib/async.ts";
import {
  type Batch,
  type ClusterTime,
  type EventBatch,
  type EventStream,
  nameOf,
  type Position,
  type Source,
} from "../source/record.ts";
import { checkSame, type RangeReadable } from "./backfill.ts";
import { type HistoryPolicy, recoveryOf } from "./history.ts";
import { isBeingCopied, Merge, type MergeItem } from "./merge.ts";
import type { ReadThrottle } from "./throttle.ts";
import { copyOf, EMPTY_POSITION, isComplete, liveAfter, positionOnly, withCollection, withRange } from "./progress.ts";
import { follow, heartbeat, type TailSettings } from "./tail.ts";

export interface CaptureSettings extends TailSettings {
  readonly collections: readonly RangeReadable[];
  /** By which the collections are read. */
  readonly throttle: Pick<ReadThrottle, "isBlocked" | "requested">;
  readonly onHistoryLost: HistoryPolicy;
  /** Told when history was lost and the policy is to copy again at once. */
  readonly onCopyAgain: (error: MongotapError) => void;
}

/** How many chunks may wait for the stream: each is at most one reply (16 MB, usually 4 MB). */
const CHUNKS_AHEAD = 2;

export function captureSource(settings: CaptureSettings): Source {
  let target: ClusterTime | undefined; // outlives a reconnect: caught up with the beginning of the run
  async function* captureOnce(from: Position, signal: AbortSignal, limit: number): AsyncGenerator<Batch> {
    await using stream = await settings.open(from.stream, signal);
    const merge = new Merge(stream, pinned(settings.collections, from));
    target ??= stream.serverTime;
    let left = limit;
    const counted = function* (batch: Batch): Generator<Batch> {
      const count = batch.documents.count;
      const taken = batch.kind === "events" && count > left ? stream.split(batch, left)[0] : batch;
      yield taken;
      if (taken.kind === "events") checkNoneReplaced(taken);
      left -= count;
    };
    yield merge.stamp(heartbeat(stream));
    for (let isTooLarge = true; isTooLarge;) {
      isTooLarge = false;
      for await (const step of stepsAndEvents(settings, merge, stream, signal, left)) {
        if ("documents" in step) {
          yield* counted(step);
          if (left <= 0) return;
          continue;
        }
        if (step.chunk.exact && step.chunk.at > target) target = step.chunk.at;
        // What came before it may have used up what it was read for: then a smaller one is read.
        const mayCome = (): boolean => !(isTooLarge = step.chunk.documents.count > left);
        for await (const batch of merge.upTo(step, mayCome)) {
          yield* counted(batch);
          if (left <= 0) return;
        }
        if (isTooLarge) break;
      }
    }
    for (const batch of merge.rest()) yield* counted(batch);
    for await (const batch of follow(stream, { ...settings, target, limit: left })) yield* counted(merge.stamp(batch));
  }
  return async function* capture(from, signal, limit) {
    let position = from ?? EMPTY_POSITION;
    let left = limit;
    for (;;) {
      try {
        for await (const batch of captureOnce(position, signal, left)) {
          position = batch.position ?? position;
          left -= batch.documents.count;
          yield batch;
        }
        return;
      } catch (error) {
        if (!(error instanceof MongotapError) || error.kind !== "history-lost") throw error;
        const recovery = recoveryOf(error, position, settings.onHistoryLost);
        if (recovery.position) yield positionOnly(recovery.position);
        if (!recovery.goOn || !recovery.position) throw recovery.error;
        settings.onCopyAgain(error);
        position = recovery.position;
      }
    }
  };
}

/** What came under a new name is in no event under it: it is stale now, and the next run copies it. */
function checkNoneReplaced({ ends = [] }: EventBatch): void {
  const replaced = ends.find(({ how }) => how === "replaced");
  if (!replaced) return;
  const message = `the collection ${replaced.name} was replaced by renaming another to its name`;
  throw new MongotapError("ended", message, { hint: "Run again: it copies what is there now, then goes on." });
}

/** Collections that are new to the position, or stale in it, enter as `pinned`. */
function pinned(collections: readonly RangeReadable[], from: Position): Position {
  let position = from;
  for (const { namespace, uuid } of collections) {
    const name = nameOf(namespace);
    const known = position.collections[name];
    if (known === undefined || known.phase === "stale")
      position = withCollection(position, name, { phase: "pinned", uuid });
  }
  return position;
}

/** How long a chunk may be on its way before it is asked whether it is on its way at all. */
const LOOK_MS = 50;

/** The chunks, and what the stream tells while none may be asked for. */
async function* stepsAndEvents(
  { collections, throttle }: CaptureSettings,
  merge: Merge,
  stream: EventStream,
  signal: AbortSignal,
  limit: number,
): AsyncGenerator<MergeItem | EventBatch> {
  const stop = new AbortController();
  const steps = chunksOf(collections, merge, stream, AbortSignal.any([signal, stop.signal]), limit);
  try {
    for (;;) {
      const next = steps.next();
      while (!(await isSettledWithin(next, LOOK_MS))) yield* merge.meanwhile(throttle);
      const step = await next;
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    stop.abort();
    await steps.return(undefined);
  }
}

/** The chunks of all collections that are not live yet, one collection after the other. */
async function* chunksOf(
  collections: readonly RangeReadable[],
  merge: Merge,
  stream: EventStream,
  signal: AbortSignal,
  limit: number,
): AsyncGenerator<MergeItem> {
  const { startsAfter } = stream;
  for (const collection of collections) {
    const { namespace } = collection;
    const name = nameOf(namespace);
    let copy = copyOf(merge.position.collections[name], collection.uuid);
    if (copy === undefined) continue;
    for (const [index, range] of copy.ranges.entries()) {
      if (range.done) continue;
      for await (const chunk of prefetch(collection.read(range, signal, limit, startsAfter), CHUNKS_AHEAD)) {
        if (!isBeingCopied(merge.position, name)) break;
        copy = withRange(copy, index, chunk.progress);
        const done = isComplete(copy);
        // A chunk with an exact time comes behind the drop of its collection, if there was one, and is left out then.
        if (done && !chunk.exact) checkSame(collection, copy.uuid, await collection.currentUuid());
        yield { name, namespace, chunk, state: done ? liveAfter(copy) : copy };
      }
    }
  }
}
