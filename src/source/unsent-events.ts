/**
 * A change stream without the events that have been sent already: where several streams of a platform have positions of their
 * own, the change stream begins at the earliest, and each leaves out what is not behind its own.
 */

import { ChangeEvent } from "../codec/change-event.ts";
import { must } from "../errors.ts";
import { fromText } from "./bson-key.ts";
import { later, tickBefore } from "./cluster-time.ts";
import type { ClusterTime, CollectionEnd, EventBatch, EventStream, StreamPosition } from "./record.ts";
import { isHighWater, tokenData } from "./resume-token.ts";

/** `_data` of the token of a position: hex that sorts as the server sorts tokens. */
export function dataOf({ token }: StreamPosition): string {
  return tokenData(fromText(token));
}

/** Events up to this time may be missing from a stream that begins at the position: what is copied beside it must not be older. */
export function startsAfterOf(position: StreamPosition): ClusterTime {
  return isHighWater(dataOf(position)) ? tickBefore(position.time) : position.time;
}

export class UnsentEvents implements EventStream {
  readonly #stream: EventStream;
  readonly #event = new ChangeEvent();
  /** By `db.collection`, `_data` of the last event that has been sent. */
  readonly #sentUpTo: Map<string, string>;
  /** Of every collection that is ahead: its copy must not be older than what is left out. */
  readonly startsAfter: ClusterTime;

  /** `sentUpTo` by `db.collection`. */
  constructor(stream: EventStream, sentUpTo: ReadonlyMap<string, StreamPosition>) {
    this.#stream = stream;
    this.#sentUpTo = new Map([...sentUpTo].map(([name, position]) => [name, dataOf(position)]));
    this.startsAfter = [...sentUpTo.values()].map(startsAfterOf).reduce<ClusterTime>(later, stream.startsAfter);
  }

  get position(): StreamPosition {
    return this.#stream.position;
  }

  get serverTime(): ClusterTime {
    return this.#stream.serverTime;
  }

  get hasEnded(): boolean {
    return this.#stream.hasEnded;
  }

  hasPassed(time: ClusterTime): boolean {
    return this.#stream.hasPassed(time);
  }

  async next(awaitMs: number): Promise<EventBatch> {
    const batch = await this.#stream.next(awaitMs);
    return this.#sentUpTo.size === 0 ? batch : this.#unsent(batch);
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return this.#stream.split(batch, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }

  #unsent(batch: EventBatch): EventBatch {
    const { documents, sortKeys, ends = [] } = batch;
    const event = this.#event;
    const kept: number[] = [];
    const keptEnds: CollectionEnd[] = [];
    for (const [i, offset] of documents.offsets.entries()) {
      event.read(documents.bytes, offset);
      // A rename concerns two collections, and either may be ahead of the other.
      const ofEvent = ends.filter(({ sortKey }) => sortKey === sortKeys[i]);
      const unsent = ofEvent.filter(({ name }) => !this.#isSent(name));
      keptEnds.push(...unsent);
      if (ofEvent.length === 0 ? !this.#isSent(event.namespace) : unsent.length > 0) kept.push(i);
    }
    if (kept.length === documents.count && keptEnds.length === ends.length) return batch;
    return withOnly(batch, kept, keptEnds);
  }

  /** Whether the event at hand has been sent for a collection. One behind its own position needs no look any more. */
  #isSent(name: string): boolean {
    const sent = this.#sentUpTo.get(name);
    if (sent === undefined) return false;
    if (tokenData(this.#event.bytes, this.#event.slots._id.begin) <= sent) return true;
    this.#sentUpTo.delete(name);
    return false;
  }
}

/** `batch` with the events at these indexes, and with these ends. */
export function withOnly(batch: EventBatch, kept: readonly number[], ends: readonly CollectionEnd[]): EventBatch {
  const { documents, changed } = batch;
  const sortKeys = kept.map((i) => must(batch.sortKeys[i], "the sort key of an event"));
  const known = new Set(sortKeys);
  return {
    ...batch,
    documents: documents.only(kept.map((i) => must(documents.offsets[i], "an event"))),
    sortKeys,
    ends,
    ...(changed === undefined ? {} : { changed: new Map([...changed].filter(([, last]) => known.has(last))) }),
  };
}
