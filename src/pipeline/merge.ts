/**
 * Merges the chunks of a backfill with the events of a change stream by cluster time: a chunk that is true at time T
 * is emitted when the stream has passed T, after the events up to T and before those behind it. So the lines of one key
 * are in commit order, and nothing needs to be deduplicated.
 */

import { MongotapError } from "../errors.ts";
import {
  type Batch,
  BEGINNING,
  type Chunk,
  type ClusterTime,
  type CollectionEnd,
  type CollectionState,
  type EventBatch,
  type EventStream,
  type Namespace,
  type Position,
  type RowBatch,
  sortKeyTime,
} from "../source/record.ts";
import type { ReadThrottle } from "./throttle.ts";
import { isAllLive, withCollection, withoutCollection } from "./position.ts";

/** A chunk, and the state of its collection once the chunk has been written. */
export interface MergeItem {
  /** `db.collection` */
  readonly name: string;
  readonly namespace: Namespace;
  readonly chunk: Chunk;
  /** The number of the copy; undefined: the first. */
  readonly copy: number | undefined;
  readonly state: CollectionState;
  /** The same with the first `count` documents of the chunk, at least 1 and not all. */
  head(count: number): MergeItem;
}

/** How long the server may hold an empty reply while a chunk waits for the stream. */
const POLL_MS = 2;
/** The same while no chunk may be requested, so none waits. */
const BLOCKED_POLL_MS = 100;

export class Merge {
  readonly #stream: EventStream;
  #position: Position;
  /** Events that the stream has returned, and that are behind the current chunk. */
  #held: EventBatch | undefined;
  /** The time of the last event that has been emitted. */
  #emitted = BEGINNING;

  constructor(stream: EventStream, position: Position) {
    this.#stream = stream;
    this.#position = { ...position, stream: stream.position };
  }

  get position(): Position {
    return this.#position;
  }

  /** Moves on behind a batch of the stream, and returns it with the position of the stream and all collections. */
  stamp(batch: EventBatch): EventBatch {
    const stamped = stampedAfter(this.#position, batch, this.#stream);
    this.#position = stamped.position;
    const last = batch.sortKeys.at(-1);
    if (last !== undefined) this.#emitted = sortKeyTime(last);
    return stamped;
  }

  /**
   * Yields the events up to the time of the chunk, then the chunk, unless its collection has ended in the meantime.
   * @throws MongotapError `connect` where the chunk is older than an emitted event: it must be read again
   */
  async *upTo(item: MergeItem): AsyncGenerator<Batch> {
    const { name, chunk } = item;
    if (chunk.exact) {
      if (chunk.at < this.#emitted)
        throw new MongotapError("connect", `the server that answered for ${name} is behind the change stream`);
      yield* this.#eventsUpTo(chunk.at);
    }
    if (!isBeingCopied(this.#position, name)) return;
    const rows = rowsAfter(this.#position, item);
    this.#position = rows.position;
    yield rows;
  }

  async *#eventsUpTo(time: ClusterTime): AsyncGenerator<EventBatch> {
    for (;;) {
      if (this.#held) {
        const { sortKeys } = this.#held;
        const count = sortKeys.findIndex((key) => sortKeyTime(key) > time);
        if (count === 0) return;
        if (count > 0) {
          const [head, rest] = this.#stream.split(this.#held, count);
          this.#held = rest;
          yield this.stamp(head);
          return;
        }
        yield this.stamp(this.#held);
        this.#held = undefined;
      }
      if (this.#stream.hasPassed(time)) return;
      this.#held = await this.#stream.next(POLL_MS);
    }
  }

  /**
   * Yields what the stream returns while no chunk may be requested: every chunk will be true at a later time. If a chunk
   * is requested during a reply, the events of that reply are held, because they may be behind the chunk.
   */
  async *whileBlocked(throttle: Pick<ReadThrottle, "isBlocked" | "requested">): AsyncGenerator<EventBatch> {
    const { requested } = throttle;
    const isStillBlocked = (): boolean => throttle.isBlocked && throttle.requested === requested;
    while (isStillBlocked()) {
      this.#held ??= await this.#stream.next(BLOCKED_POLL_MS);
      if (!isStillBlocked()) return;
      const batch = this.#held;
      this.#held = undefined;
      yield this.stamp(batch);
    }
  }

  /** Yields the events that are still held when no chunk is left. */
  *rest(): Generator<EventBatch> {
    if (this.#held) yield this.stamp(this.#held);
    this.#held = undefined;
  }
}

/** `batch` with the position behind it, where `before` is the position before it. */
function stampedAfter(before: Position, batch: EventBatch, stream: EventStream): EventBatch {
  const { stream: streamPosition } = batch.position;
  const moved: Position = { ...before, ...(streamPosition ? { stream: streamPosition } : {}) };
  const position = withChanged((batch.ends ?? []).reduce(withEnd, moved), batch);
  return {
    ...batch,
    position: isAllLive(position) ? withoutLosses(position) : position,
    head: (count) => stampedAfter(before, stream.split(batch, count)[0], stream),
  };
}

function rowsAfter(before: Position, item: MergeItem): RowBatch & { readonly position: Position } {
  const { name, namespace, chunk, copy, state } = item;
  return {
    kind: "rows",
    namespace,
    ...(copy === undefined ? {} : { copy }),
    documents: chunk.documents,
    at: chunk.at,
    position: withCollection(before, name, state),
    head: (count) => rowsAfter(before, item.head(count)),
  };
}

export function isBeingCopied(position: Position, name: string): boolean {
  const phase = position.collections[name]?.phase;
  return phase === "pinned" || phase === "copying";
}

/**
 * A collection that is gone needs no copy: if its name is used again, the stream has all documents of the new collection.
 * One that was replaced has documents for which the stream has no event under this name, so it must be copied.
 */
function withEnd(position: Position, { name, reason }: CollectionEnd): Position {
  if (reason === "replaced") return withCollection(position, name, { phase: "stale", voided: true });
  return name in position.collections ? withoutCollection(position, name) : position;
}

/**
 * A collection that has events and no state was created behind the position: the stream has all its documents. From now on
 * it has a state, so that it is known what the output holds when the history is lost.
 */
function withChanged(position: Position, { ends = [], changed }: EventBatch): Position {
  let after = position;
  for (const [name, last] of changed ?? []) {
    if (name in after.collections || ends.some((end) => end.name === name && end.sortKey > last)) continue;
    after = withCollection(after, name, { phase: "live", copied: { documents: 0, ranges: 0 } });
  }
  return after;
}

function withoutLosses({ losses: _, ...position }: Position): Position {
  return position;
}
