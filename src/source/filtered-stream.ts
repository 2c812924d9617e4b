/** A change stream that leaves out some events of another one, which it owns. */

import { must } from "../errors.ts";
import type { ClusterTime, CollectionEnd, EventBatch, EventStream, StreamPosition } from "./record.ts";

export class FilteredStream implements EventStream {
  readonly #stream: EventStream;
  readonly #filter: (batch: EventBatch) => EventBatch;
  readonly startsAfter: ClusterTime;

  /** `filter` returns a batch without the events to leave out; `startsAfter`: as of a stream, where it differs. */
  constructor(stream: EventStream, filter: (batch: EventBatch) => EventBatch, startsAfter = stream.startsAfter) {
    this.#stream = stream;
    this.#filter = filter;
    this.startsAfter = startsAfter;
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
    return this.#filter(await this.#stream.next(awaitMs));
  }

  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch] {
    return this.#stream.split(batch, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }
}

/** `batch` with the events at these indexes, and with these ends. */
export function withOnly(batch: EventBatch, kept: readonly number[], ends: readonly CollectionEnd[]): EventBatch {
  const { documents, changed } = batch;
  const sortKeys = kept.map((i) => must(batch.sortKeys[i], "the sort key of an event"));
  const known = new Set(sortKeys);
  return {
    ...batch,
    lacksEvents: true,
    documents: documents.only(kept.map((i) => must(documents.offsets[i], "an event"))),
    sortKeys,
    ends,
    ...(changed === undefined ? {} : { changed: new Map([...changed].filter(([, last]) => known.has(last))) }),
  };
}
