/**
 * At which cluster times documents are read. A read at time T returns the version that an event left behind, if T is not
 * before that event and before the next event of the same document. Pure.
 */

import { later } from "./cluster-time.ts";
import type { KeyHistory, Step } from "./key-history.ts";
import type { ClusterTime } from "./record.ts";

/** A version of a document that has to be read. */
export interface Wanted {
  readonly history: KeyHistory;
  readonly step: Step;
  /** When the version ended; undefined if it outlives the batch. */
  readonly until: ClusterTime | undefined;
}

/** One read: documents of one collection at one cluster time. */
export interface TimedRead {
  /** `db.collection` */
  readonly collection: string;
  readonly at: ClusterTime;
  readonly wanted: readonly Wanted[];
}

/**
 * The reads that return every wanted version. For each collection the fewest cluster times are taken that hit every
 * interval [step, until): in the order of their ends, each interval that no time has hit adds the last time before its end.
 * `times`: those of the batch, ascending and distinct; what outlives the batch is read at the last of them.
 */
export function planReads(wanted: readonly Wanted[], times: readonly ClusterTime[]): TimedRead[] {
  const last = times.at(-1);
  if (last === undefined) return [];
  const reads = new Map<string, { collection: string; at: ClusterTime; wanted: Wanted[] }>();
  const add = (at: ClusterTime, one: Wanted): void => {
    const { collection } = one.history;
    const key = at + collection;
    const known = reads.get(key);
    if (known) known.wanted.push(one);
    else reads.set(key, { collection, at, wanted: [one] });
  };
  const closed = wanted.filter(({ until }) => until !== undefined);
  for (const one of wanted) if (one.until === undefined) add(last, one);
  const at = new Map<string, ClusterTime>();
  for (const one of closed.toSorted((a, b) => compare(a.until, b.until))) {
    const { collection } = one.history;
    const known = at.get(collection);
    // The time is before the end of this interval too, because the intervals come in the order of their ends.
    const time = known !== undefined && known >= one.step.time ? known : later(one.step.time, lastBefore(times, one));
    at.set(collection, time);
    add(time, one);
  }
  return [...reads.values()];
}

/** After every cluster time. */
const LAST = "g" as ClusterTime;

function compare(a = "", b = ""): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The last of `times` before the end of an interval. */
function lastBefore(times: readonly ClusterTime[], { until: end = LAST }: Wanted): ClusterTime {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as ClusterTime) < end) low = middle + 1;
    else high = middle;
  }
  return times[Math.max(0, low - 1)] as ClusterTime;
}
