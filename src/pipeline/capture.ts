/**
 * Backfill and change stream as one Source, merged by cluster time (merge.ts). The stream advances with every chunk, so
 * its position stays within the oplog however long the backfill takes.
 * CollectionState (source/record.ts) describes the states of a collection.
 */

import { MongotapError } from "../errors.ts";
import { isSettledWithin, prefetch } from "../lib/async.ts";
import {
  type Batch,
  type Chunk,
  type ClusterTime,
  type Copying,
  type EventBatch,
  type EventStream,
  nameOf,
  type Position,
  type Source,
} from "../source/record.ts";
import { checkSame, type RangeReadable } from "./backfill.ts";
import { type HistoryPolicy, recoveryOf } from "./lost-history.ts";
import { isBeingCopied, Merge, type MergeItem } from "./merge.ts";
import type { ReadThrottle } from "./throttle.ts";
import { copyOf, EMPTY_POSITION, isComplete, liveAfter, positionOnly, withCollection, withRange } from "./position.ts";
import { follow, heartbeat, type TailSettings } from "./tail.ts";

export interface CaptureSettings extends TailSettings {
  readonly collections: readonly RangeReadable[];
  /** The throttle that the collections are read with. */
  readonly throttle: Pick<ReadThrottle, "isBlocked" | "requested">;
  readonly onHistoryLost: HistoryPolicy;
  /** Called when history is lost and the policy is to copy again at once. */
  readonly onCopyAgain: (error: MongotapError) => void;
}

/** How many chunks may wait for the stream: each is at most one reply (16 MB, usually 4 MB). */
const CHUNKS_AHEAD = 2;

/** Opens the stream again where history was lost and the policy says so; all other retries are the pump's. */
export function captureSource(settings: CaptureSettings): Source {
  let target: ClusterTime | undefined; // outlives a reconnect: it is of the beginning of the run, or of a later chunk

  /** The events of the stream and the chunks of the collections, merged, until the run has caught up. */
  async function* merged(
    stream: EventStream,
    from: Position,
    signal: AbortSignal,
    wanted: number,
  ): AsyncGenerator<Batch> {
    const merge = new Merge(stream, pinned(settings.collections, from));
    target ??= stream.serverTime;
    yield merge.stamp(heartbeat(stream));
    for await (const item of itemsAndEvents(settings, merge, stream, signal, wanted)) {
      if ("documents" in item) {
        yield item;
        continue;
      }
      if (item.chunk.exact && item.chunk.at > target) target = item.chunk.at;
      yield* merge.upTo(item);
    }
    yield* merge.rest();
    for await (const batch of follow(stream, { ...settings, target })) yield merge.stamp(batch);
  }

  return async function* capture(from, signal, wanted) {
    let position = from ?? EMPTY_POSITION;
    for (;;) {
      try {
        await using stream = await settings.open(position.stream, signal);
        for await (const batch of merged(stream, position, signal, wanted)) {
          position = batch.position ?? position;
          yield batch;
          if (batch.kind === "events") checkNoneReplaced(batch);
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

/**
 * The stream has no event for the documents of a collection that was renamed to a watched name: the name is `stale` now.
 * @throws MongotapError `ended`: the next run copies it
 */
function checkNoneReplaced({ ends = [] }: EventBatch): void {
  const replaced = ends.find(({ how }) => how === "replaced");
  if (!replaced) return;
  const message = `the collection ${replaced.name} was replaced by renaming another to its name`;
  throw new MongotapError("ended", message, { hint: "Run again: it copies what is there now, then goes on." });
}

/** Collections that are new to the position, or stale in it, become `pinned`. */
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

/** How long a chunk may take before the throttle is asked whether chunks may be requested at all. */
const LOOK_MS = 50;

/** The chunks, and the events of the stream while no chunk may be requested. */
async function* itemsAndEvents(
  { collections, throttle }: CaptureSettings,
  merge: Merge,
  stream: EventStream,
  signal: AbortSignal,
  wanted: number,
): AsyncGenerator<MergeItem | EventBatch> {
  const stop = new AbortController();
  const items = itemsOf(collections, merge, stream, AbortSignal.any([signal, stop.signal]), wanted);
  try {
    for (;;) {
      const next = items.next();
      while (!(await isSettledWithin(next, LOOK_MS))) yield* merge.whileBlocked(throttle);
      const item = await next;
      if (item.done === true) return;
      yield item.value;
    }
  } finally {
    stop.abort();
    await items.return(undefined);
  }
}

/** The chunks of all collections that are to be copied, one collection after the other. */
async function* itemsOf(
  collections: readonly RangeReadable[],
  merge: Merge,
  { startsAfter }: EventStream,
  signal: AbortSignal,
  wanted: number,
): AsyncGenerator<MergeItem> {
  for (const collection of collections) {
    const name = nameOf(collection.namespace);
    let copy = copyOf(merge.position.collections[name], collection.uuid);
    if (copy === undefined) continue;
    for (const [index, range] of copy.ranges.entries()) {
      if (range.done) continue;
      for await (const chunk of prefetch(collection.read(range, signal, wanted, startsAfter), CHUNKS_AHEAD)) {
        if (!isBeingCopied(merge.position, name)) break;
        const item = itemOf(collection, chunk, copy, index);
        copy = withRange(copy, index, chunk.progress);
        // The merge leaves out an exact chunk from after the drop of its collection; others have to be checked.
        if (isComplete(copy) && !chunk.exact) checkSame(collection, copy.uuid, await collection.currentUuid());
        yield item;
      }
    }
  }
}

/** `chunk` is of the range number `index`; `before` is the copy before it. */
function itemOf(collection: RangeReadable, chunk: Chunk, before: Copying, index: number): MergeItem {
  const { namespace } = collection;
  const copy = withRange(before, index, chunk.progress);
  return {
    name: nameOf(namespace),
    namespace,
    chunk,
    state: isComplete(copy) ? liveAfter(copy) : copy,
    head: (count) => itemOf(collection, collection.head(chunk, count), before, index),
  };
}
