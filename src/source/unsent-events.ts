/**
 * A change stream without the events that have been sent already: where several streams of a platform have positions of their
 * own, the change stream begins at the earliest, and each leaves out what is not behind its own.
 */

import { ChangeEvent } from "../codec/change-event.ts";
import { must } from "../errors.ts";
import { fromText } from "./bson-key.ts";
import type { BsonDocuments, ClusterTime, EventBatch, EventStream, StreamPosition } from "./record.ts";
import { tokenData } from "./resume-token.ts";

/** `_data` of the token of a position: hex that sorts as the server sorts tokens. */
export function dataOf({ token }: StreamPosition): string {
  return tokenData(fromText(token));
}

export class UnsentEvents implements EventStream {
  readonly #stream: EventStream;
  readonly #event = new ChangeEvent();
  /** By `db.collection`, `_data` of the last event that has been sent. */
  readonly #sentUpTo: Map<string, string>;

  /** `sentUpTo` by `db.collection`. */
  constructor(stream: EventStream, sentUpTo: ReadonlyMap<string, StreamPosition>) {
    this.#stream = stream;
    this.#sentUpTo = new Map([...sentUpTo].map(([name, position]) => [name, dataOf(position)]));
  }

  get position(): StreamPosition {
    return this.#stream.position;
  }

  get startsAfter(): ClusterTime {
    return this.#stream.startsAfter;
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
    if (this.#sentUpTo.size === 0) return batch;
    const kept = this.#unsent(batch.documents);
    if (kept.length === batch.documents.count) return batch;
    return withOnly(batch, kept);
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return this.#stream.split(batch, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }

  /** The indexes of the events that have not been sent. A collection behind its own position needs no look any more. */
  #unsent({ bytes, offsets }: BsonDocuments): number[] {
    const event = this.#event;
    return [...offsets.entries()].flatMap(([i, offset]) => {
      event.read(bytes, offset);
      const sent = this.#sentUpTo.get(event.namespace);
      if (sent === undefined) return [i];
      if (tokenData(bytes, event.slots._id.begin) <= sent) return [];
      this.#sentUpTo.delete(event.namespace);
      return [i];
    });
  }
}

/** `batch` with the events at these indexes only. */
export function withOnly(batch: EventBatch, kept: readonly number[]): EventBatch {
  const { documents, sortKeys, ends = [] } = batch;
  const keptKeys = kept.map((i) => must(sortKeys[i], "the sort key of an event"));
  const known = new Set(keptKeys);
  return {
    ...batch,
    documents: documents.only(kept.map((i) => must(documents.offsets[i], "an event"))),
    sortKeys: keptKeys,
    ends: ends.filter(({ sortKey }) => known.has(sortKey)),
  };
}
