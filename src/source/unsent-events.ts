/**
 * A change stream without the events that have been sent already: where several streams of a platform have positions of their
 * own, the change stream begins at the earliest, and each leaves out what is not behind its own.
 */

import { ChangeEvent } from "../codec/change-event.ts";
import { fromText } from "./bson-key.ts";
import { later, tickBefore } from "./cluster-time.ts";
import type { ClusterTime, CollectionEnd, EventBatch, EventStream, StreamPosition } from "./record.ts";
import { FilteredStream, withOnly } from "./filtered-stream.ts";
import { isHighWater, tokenData } from "./resume-token.ts";

/** `_data` of the token of a position: hex that sorts as the server sorts tokens. */
export function dataOf({ token }: StreamPosition): string {
  return tokenData(fromText(token));
}

/** Events up to this time may be missing from a stream that begins at the position: what is copied beside it must not be older. */
export function startsAfterOf(position: StreamPosition): ClusterTime {
  return isHighWater(dataOf(position)) ? tickBefore(position.time) : position.time;
}

/** The events of `stream` that have not been sent; `sentUpTo` by `db.collection`. */
export function unsentEvents(stream: EventStream, sentUpTo: ReadonlyMap<string, StreamPosition>): EventStream {
  if (sentUpTo.size === 0) return stream;
  const filter = new UnsentFilter(sentUpTo);
  // A copy of a collection that is ahead must not be older than what is left out.
  const startsAfter = [...sentUpTo.values()].map(startsAfterOf).reduce<ClusterTime>(later, stream.startsAfter);
  return new FilteredStream(stream, (batch) => filter.apply(batch), startsAfter);
}

class UnsentFilter {
  readonly #event = new ChangeEvent();
  /** By `db.collection`, `_data` of the last event that has been sent. */
  readonly #sentUpTo: Map<string, string>;

  constructor(sentUpTo: ReadonlyMap<string, StreamPosition>) {
    this.#sentUpTo = new Map([...sentUpTo].map(([name, position]) => [name, dataOf(position)]));
  }

  apply(batch: EventBatch): EventBatch {
    if (this.#sentUpTo.size === 0) return batch;
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
