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
  type CollectionEnd,
  type Copying,
  type EventBatch,
  type EventStream,
  nameOf,
  type Position,
  secondsOf,
  sortKey,
  sortKeyTime,
  type Source,
} from "../source/record.ts";
import type { RangeReadable } from "./backfill.ts";
import { type HistoryPolicy, recoveryOf } from "./lost-history.ts";
import { isBeingCopied, Merge, type MergeItem } from "./merge.ts";
import type { ReadThrottle } from "./throttle.ts";
import {
  copyOf,
  EMPTY_POSITION,
  isComplete,
  liveAfter,
  positionOnly,
  withCollection,
  withoutCollection,
  withRange,
} from "./position.ts";
import { follow, type TailSettings } from "./tail.ts";

export interface CaptureSettings extends TailSettings {
  /**
   * Resolves to the collections that must be copied from `position` on; asked when the stream has been opened. `isFirst`:
   * the run has yielded nothing so far.
   */
  readonly collections: (position: Position, isFirst: boolean) => Promise<readonly RangeReadable[]>;
  /** The throttle that the collections are read with. */
  readonly throttle: Pick<ReadThrottle, "isBlocked" | "requested">;
  readonly onHistoryLost: HistoryPolicy;
  /** Called when history is lost and the policy is to copy again at once. */
  readonly onCopyAgain: (error: MongotapError) => void;
}

/** How many chunks may wait for the stream: each is at most one reply (16 MB, usually 4 MB). */
const CHUNKS_AHEAD = 2;

/**
 * Opens the stream again where a collection was replaced, to copy what has its name now, and where history was lost and the
 * policy says so; all other retries are the pump's.
 */
export function captureSource(settings: CaptureSettings): Source {
  let target: ClusterTime | undefined; // outlives a reconnect: it is of the beginning of the run, or of a later chunk
  let isFirst = true;

  /** The events of the stream and the chunks of the collections, merged, until the run has caught up. */
  async function* merged(
    stream: EventStream,
    from: Position,
    signal: AbortSignal,
    wanted: number,
  ): AsyncGenerator<Batch> {
    const collections = await settings.collections(from, isFirst);
    const { position, ends } = beginCopies(collections, from, stream);
    const merge = new Merge(stream, position);
    target ??= stream.serverTime;
    yield { ...positionOnly(merge.position), ends };
    isFirst = false;
    const items = (until: AbortSignal): AsyncGenerator<MergeItem> => itemsOf(collections, merge, stream, until, wanted);
    for await (const item of itemsAndEvents(items, merge, settings.throttle, signal)) {
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
    for (let isDone = false; !isDone;) {
      try {
        await using stream = await settings.open(position.stream, signal);
        isDone = true;
        for await (const batch of merged(stream, position, signal, wanted)) {
          position = batch.position ?? position;
          yield batch;
          isDone = !mustCopyAgain(batch, stream);
          if (!isDone) break;
        }
      } catch (error) {
        if (!(error instanceof MongotapError) || error.kind !== "history-lost") throw error;
        const recovery = recoveryOf(error, position, settings.onHistoryLost);
        if (recovery.position) yield positionOnly(recovery.position);
        if (!recovery.goOn || !recovery.position) throw recovery.error;
        settings.onCopyAgain(error);
        position = recovery.position;
        isDone = false;
      }
    }
  };
}

/**
 * A collection was renamed to a bound name: the stream has no event for its documents. Where the stream has ended with that,
 * the run ends too, and the next one copies them.
 */
function mustCopyAgain(batch: Batch, stream: EventStream): boolean {
  if (batch.kind !== "events" || !batch.ends?.some(({ reason }) => reason === "replaced")) return false;
  const isLast = batch.position.stream?.token === stream.position.token;
  return !(stream.hasEnded && isLast);
}

interface CopiesBegun {
  readonly position: Position;
  /** Of the collections of which the output holds what is void now, and does not say so yet. */
  readonly ends: readonly CollectionEnd[];
}

/**
 * Collections that are new to the position, or stale in it, become `pinned`. What is stale and no longer exists has no
 * state any more.
 */
function beginCopies(collections: readonly RangeReadable[], from: Position, stream: EventStream): CopiesBegun {
  const toCopy = new Map(collections.map(({ namespace, uuid }) => [nameOf(namespace), uuid]));
  // Behind every event that has been written, and before everything that the stream returns and every copied document.
  const { position: begin, startsAfter } = stream;
  const key = begin.time <= startsAfter ? sortKey(begin.time, begin.sequence) : sortKey(startsAfter, 0);
  const at = { sortKey: key, ms: secondsOf(sortKeyTime(key)) * 1000 };
  const copy = (from.copies ?? 1) + 1;
  const ends: CollectionEnd[] = [];
  let position = from;
  for (const [name, state] of Object.entries(from.collections)) {
    if (state.phase !== "stale") continue;
    const uuid = toCopy.get(name);
    if (!state.voided) ends.push({ name, reason: uuid === undefined ? "dropped" : "copied again", ...at });
    if (uuid === undefined) position = withoutCollection(position, name);
    else position = { ...withCollection(position, name, { phase: "pinned", uuid, copy }), copies: copy };
  }
  for (const [name, uuid] of toCopy)
    if (!(name in position.collections)) position = withCollection(position, name, { phase: "pinned", uuid });
  return { position, ends };
}

/** How long a chunk may take before the throttle is asked whether chunks may be requested at all. */
const LOOK_MS = 50;

/** The chunks, and the events of the stream while no chunk may be requested. */
async function* itemsAndEvents(
  itemsUntil: (signal: AbortSignal) => AsyncGenerator<MergeItem>,
  merge: Merge,
  throttle: CaptureSettings["throttle"],
  signal: AbortSignal,
): AsyncGenerator<MergeItem | EventBatch> {
  const stop = new AbortController();
  const items = itemsUntil(AbortSignal.any([signal, stop.signal]));
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
      const chunks = collection.read(range, signal, wanted, startsAfter, copy.copy);
      for await (const chunk of prefetch(whileReadable(chunks, collection, copy.uuid), CHUNKS_AHEAD)) {
        if (!isBeingCopied(merge.position, name)) break;
        const item = itemOf(collection, chunk, copy, index);
        copy = withRange(copy, index, chunk.progress);
        yield item;
      }
    }
  }
}

/**
 * Yields the chunks of a collection. Where it has ended and cannot be read any more (a view has its name), there are none, and
 * the stream reports the end.
 */
async function* whileReadable(
  chunks: AsyncIterable<Chunk>,
  collection: RangeReadable,
  uuid: string | null,
): AsyncGenerator<Chunk> {
  try {
    yield* chunks;
  } catch (error) {
    if (!(error instanceof MongotapError) || error.retryable) throw error;
    if ((await collection.currentUuid()) === uuid) throw error;
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
    copy: before.copy,
    state: isComplete(copy) ? liveAfter(copy) : copy,
    head: (count) => itemOf(collection, collection.head(chunk, count), before, index),
  };
}
