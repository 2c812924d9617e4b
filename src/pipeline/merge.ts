/**
 * Brings chunks of a backfill and events of a change stream into one order of time: a chunk that is true at time T is
 * emitted when the stream has passed T, after the events up to T and before those behind it. So lines of one key are
 * in commit order without anything being deduplicated.
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
  type Position,
  sortKeyTime,
} from "../source/record.ts";
import type { ReadThrottle } from "./throttle.ts";
import { isAllLive, withCollection } from "./progress.ts";

/** A chunk, and the state of its collection once it has been written. */
export interface MergeItem {
  /** `db.collection` */
  readonly name: string;
  readonly namespace: { readonly db: string; readonly collection: string };
  readonly chunk: Chunk;
  readonly state: CollectionState;
}

/** How long a poll of the stream may take while a chunk waits: a reply without events comes only when its time is over. */
const POLL_MS = 2;
/** The same while a chunk may not be asked for yet: nobody waits. */
const MEANWHILE_MS = 100;

export class Merge {
  readonly #stream: EventStream;
  #position: Position;
  /** Events that came with a reply but lie behind the chunk at hand. */
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

  /** An event batch with the position of everything, not of the stream alone. */
  stamp(batch: EventBatch): EventBatch {
    let position: Position = { ...this.#position, ...(batch.position.stream ? { stream: batch.position.stream } : {}) };
    for (const ending of batch.ends ?? []) position = withEnding(position, ending);
    this.#position = isAllLive(position) ? withoutLosses(position) : position;
    const last = batch.sortKeys.at(-1);
    if (last !== undefined) this.#emitted = sortKeyTime(last);
    return { ...batch, position: this.#position };
  }

  /**
   * The events up to the chunk's time, then the chunk; without it when its collection has come to an end meanwhile, or
   * `mayCome` (asked when all before it has been taken) says no.
   * @throws MongotapError `connect` when the chunk is older than what has been emitted: read again
   */
  async *upTo({ name, namespace, chunk, state }: MergeItem, mayCome: () => boolean): AsyncGenerator<Batch> {
    if (chunk.exact) {
      if (chunk.at < this.#emitted)
        throw new MongotapError("connect", `the server that answered for ${name} is behind the change stream`);
      yield* this.#eventsUpTo(chunk.at);
    }
    if (!isBeingCopied(this.#position, name) || !mayCome()) return;
    this.#position = withCollection(this.#position, name, state);
    yield { kind: "rows", namespace, documents: chunk.documents, at: chunk.at, position: this.#position };
  }

  async *#eventsUpTo(time: ClusterTime): AsyncGenerator<Batch> {
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
   * What the stream tells while every chunk that is waited for has yet to be asked for: those will be true at a later
   * time. What comes when one has been asked for meanwhile is held, since it may lie behind that.
   */
  async *meanwhile(throttle: Pick<ReadThrottle, "isBlocked" | "requested">): AsyncGenerator<EventBatch> {
    const { requested: asked } = throttle;
    const isEarlier = (): boolean => throttle.isBlocked && throttle.requested === asked;
    while (isEarlier()) {
      this.#held ??= await this.#stream.next(MEANWHILE_MS);
      if (!isEarlier()) return;
      const batch = this.#held;
      this.#held = undefined;
      yield this.stamp(batch);
    }
  }

  /** What is still held when no chunk is left. */
  *rest(): Generator<Batch> {
    if (this.#held) yield this.stamp(this.#held);
    this.#held = undefined;
  }
}

export function isBeingCopied(position: Position, name: string): boolean {
  const phase = position.collections[name]?.phase;
  return phase === "pinned" || phase === "copying";
}

/**
 * A collection that is gone needs no copy: if one of its name comes again, the stream tells of it from its first
 * document on. One that was replaced holds documents of which the stream has told nothing: it is to be copied.
 */
function withEnding(position: Position, { name, how }: CollectionEnd): Position {
  if (how === "gone" && !(name in position.collections)) return position;
  const state: CollectionState =
    how === "gone" ? { phase: "live", copied: { documents: 0, ranges: 0 } } : { phase: "stale" };
  return withCollection(position, name, state);
}

function withoutLosses({ losses: _, ...position }: Position): Position {
  return position;
}
