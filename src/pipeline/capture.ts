/**
 * Backfill and change stream as one Source, merged by time: a chunk that is true at time T is emitted when the stream
 * has passed T, after the events up to T and before those behind it. So lines of one key are in commit order without
 * anything being deduplicated, and the stream advances with every chunk, however long the backfill takes.
 *
 * The life of a collection:
 * - `pinned`: bound; the stream's position is saved, nothing has been read. A crash costs nothing.
 * - `copying`: entered with the first chunk; each range saves its last key. A crash costs the chunks not yet written.
 * - `live`: entered with the last chunk; only the stream speaks of it. A crash costs nothing.
 */

import { MongotapError } from "../errors.ts";
import { prefetch } from "../lib/async.ts";
import {
  type Batch,
  type Chunk,
  type ClusterTime,
  type CollectionProgress,
  type EventBatch,
  type EventStream,
  nameOf,
  type Position,
  type Source,
} from "../source/record.ts";
import { checkSame, type Readable } from "./backfill.ts";
import { fresh, NOWHERE, withCollection, withRange } from "./progress.ts";
import { follow, heartbeat, type TailSettings } from "./tail.ts";

export interface CaptureSettings extends TailSettings {
  readonly collections: readonly Readable[];
}

/** How many chunks may wait for the stream: each is at most one reply (16 MB, usually 4 MB). */
const CHUNKS_AHEAD = 2;
/** How long a poll of the stream may take while a chunk waits. */
const POLL_MS = 2;

export function captureSource(settings: CaptureSettings): Source {
  let target: ClusterTime | undefined;
  return async function* capture(from, signal, limit) {
    await using stream = await settings.open(from?.stream, signal);
    const merge = new Merge(stream, pinned(settings.collections, from ?? NOWHERE));
    target ??= stream.openedAt;
    let left = limit;
    const cut = function* (batch: Batch): Generator<Batch> {
      const count = batch.documents.offsets.length;
      yield batch.kind === "events" && count > left ? stream.split(batch, left)[0] : batch;
      left -= count;
    };
    yield merge.stamp(heartbeat(stream));
    for await (const step of chunksOf(settings.collections, merge.position, stream.openedAt, signal, () => left)) {
      if (step.chunk.exact && step.chunk.at > target) target = step.chunk.at;
      for await (const batch of merge.upTo(step)) {
        yield* cut(batch);
        if (left <= 0) return;
      }
    }
    for (const batch of merge.rest()) yield* cut(batch);
    for await (const batch of follow(stream, { ...settings, target, limit: left })) yield merge.stamp(batch);
  };
}

/** A chunk, and what is known of its collection once it has been written. */
interface Step {
  readonly collection: Readable;
  readonly chunk: Chunk;
  readonly progress: CollectionProgress;
}

/** Brings chunks and events into one order of time. */
class Merge {
  readonly #stream: EventStream;
  #position: Position;
  /** Events that came with a reply but lie behind the chunk at hand. */
  #held: EventBatch | undefined;
  /** The time of the last event that has been emitted. */
  #emitted: ClusterTime = "";

  constructor(stream: EventStream, position: Position) {
    this.#stream = stream;
    this.#position = { ...position, stream: stream.position };
  }

  get position(): Position {
    return this.#position;
  }

  /** An event batch with the position of everything, not of the stream alone. */
  stamp(batch: EventBatch): EventBatch {
    this.#position = { ...this.#position, ...(batch.position.stream ? { stream: batch.position.stream } : {}) };
    this.#emitted = batch.orders.at(-1)?.slice(0, 16) ?? this.#emitted;
    return { ...batch, position: this.#position };
  }

  /** The events up to the chunk's time, then the chunk. */
  async *upTo({ collection, chunk, progress }: Step): AsyncGenerator<Batch> {
    if (chunk.exact) {
      if (chunk.at < this.#emitted) {
        throw new MongotapError("connect", `the server that answered for ${nameOf(collection.namespace)} is behind the change stream`);
      }
      yield* this.#eventsUpTo(chunk.at);
    }
    this.#position = withCollection(this.#position, nameOf(collection.namespace), progress);
    yield { kind: "rows", namespace: collection.namespace, documents: chunk.documents, at: chunk.at, position: this.#position };
  }

  async *#eventsUpTo(time: ClusterTime): AsyncGenerator<Batch> {
    for (;;) {
      if (this.#held) {
        const { orders } = this.#held;
        const count = orders.findIndex((order) => order.slice(0, 16) > time);
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

  /** What is still held when no chunk is left. */
  *rest(): Generator<Batch> {
    if (this.#held) yield this.stamp(this.#held);
    this.#held = undefined;
  }
}

/** Collections that the position does not know yet enter as `pinned`. */
function pinned(collections: readonly Readable[], from: Position): Position {
  let position = from;
  for (const { namespace, uuid } of collections) {
    const name = nameOf(namespace);
    if (!(name in position.collections)) position = withCollection(position, name, fresh(uuid, "pinned"));
  }
  return position;
}

/** The chunks of all collections that are not live yet, one collection after the other. */
async function* chunksOf(
  collections: readonly Readable[],
  position: Position,
  notBefore: ClusterTime,
  signal: AbortSignal,
  left: () => number,
): AsyncGenerator<Step> {
  for (const collection of collections) {
    let progress = position.collections[nameOf(collection.namespace)] ?? fresh(collection.uuid, "pinned");
    if (progress.phase === "live") continue;
    checkSame(collection, progress.uuid, collection.uuid);
    for (const [index, range] of progress.ranges.entries()) {
      if (range.done) continue;
      for await (const chunk of prefetch(collection.read(range, signal, left(), notBefore), CHUNKS_AHEAD)) {
        const next = withRange(progress, index, chunk.progress);
        const done = next.ranges.every((r) => r.done);
        progress = { ...next, phase: done ? "live" : "copying" };
        if (done) checkSame(collection, progress.uuid, await collection.currentUuid());
        yield { collection, chunk, progress };
      }
    }
  }
}
