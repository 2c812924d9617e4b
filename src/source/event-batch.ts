/** Batches of change events: their order, and how one is cut into two without losing the position between them. */

import { ChangeEvent, TERMINAL_OPERATIONS } from "../codec/change-event.ts";
import { must } from "../errors.ts";
import { toText } from "./bson-key.ts";
import { readClusterTime } from "./cluster-time.ts";
import type { BsonDocuments, ClusterTime, EventBatch, StreamPosition } from "./record.ts";

/** A cluster time, and how many events of exactly that time have come. */
export interface EventTime {
  readonly time: ClusterTime;
  readonly sequence: number;
}

/** Sorts by commit order: 16 hex digits of cluster time, 8 of the count within that time. */
function sortKeyOf({ time, sequence }: EventTime): string {
  return time + sequence.toString(16).padStart(8, "0");
}

export function eventTimeOf(order: string): EventTime {
  return { time: order.slice(0, 16), sequence: Number.parseInt(order.slice(16), 16) };
}

/** What one walk over the events of a reply tells. */
export interface EventScan {
  /** Of each event, counted on from the moment before. */
  readonly sortKeys: readonly string[];
  /** Which of them, by index, say that something has ended: few batches have any. */
  readonly terminal: readonly number[];
}

export function scanEvents(event: ChangeEvent, { bytes, offsets }: BsonDocuments, before: EventTime): EventScan {
  let { time, sequence } = before;
  const endings: number[] = [];
  const sortKeys = offsets.map((offset, i) => {
    event.read(bytes, offset);
    if (TERMINAL_OPERATIONS.has(event.operation)) endings.push(i);
    const { clusterTime } = event.slots;
    const at = clusterTime.type === 0 ? time : readClusterTime(bytes, clusterTime.begin);
    sequence = at === time ? sequence + 1 : 1;
    time = at;
    return sortKeyOf({ time, sequence });
  });
  return { sortKeys, terminal: endings };
}

/**
 * The first `count` events as a batch of their own, with the position behind the last of them. `filter` is what the
 * server filters by.
 */
export function headOf(batch: EventBatch, count: number, filter: readonly string[]): EventBatch {
  const { bytes, offsets } = batch.documents;
  const event = new ChangeEvent();
  event.read(bytes, must(offsets[count - 1], "the last event of the cut"));
  const { begin, end } = event.slots._id;
  const stream: StreamPosition = {
    token: toText(bytes.subarray(begin, end)),
    resume: event.operation === "invalidate" ? "startAfter" : "resumeAfter",
    ...eventTimeOf(must(batch.sortKeys[count - 1], "its order")),
    filter,
  };
  const sortKeys = batch.sortKeys.slice(0, count);
  const last = must(sortKeys.at(-1), "its order");
  return {
    kind: "events",
    documents: batch.documents.part(0, count),
    sortKeys,
    ends: batch.ends?.filter((ending) => ending.sortKey <= last) ?? [],
    position: { ...batch.position, stream },
  };
}

/** The events behind the first `count`. */
export function restOf(batch: EventBatch, count: number): EventBatch {
  const sortKeys = batch.sortKeys.slice(count);
  const first = must(sortKeys[0], "the rest of the cut");
  const ends = batch.ends?.filter((ending) => ending.sortKey >= first) ?? [];
  return { ...batch, documents: batch.documents.part(count), sortKeys, ends };
}
