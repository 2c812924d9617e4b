/**
 * At which cluster times documents are read. A read at time T returns the version that an event left behind, if T is not
 * before that event and before the next event of the same document. Pure.
 */

import type { DocumentAt } from "../codec/bson.ts";
import { later } from "./cluster-time.ts";
import type { KeyHistory, Step } from "./key-history.ts";
import type { ClusterTime } from "./record.ts";

/** A version of a document that has to be read. */
export interface Wanted {
  readonly history: KeyHistory;
  readonly step: Step;
  /** When the version ended; undefined if it outlives the batch. */
  readonly until: ClusterTime | undefined;
  /** The result of the last read. */
  found: Found;
}

/**
 * What a read has found: the document; `absent`: there is none with this key at this time; `gone`: the collection no longer
 * exists; `refused`: the server cannot read at this time any more.
 */
export type Found = DocumentAt | "absent" | "gone" | "refused";

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
  const reads = new Map<string, Read>();
  let latest: Read | undefined;
  const add = (at: ClusterTime, one: Wanted): void => {
    const { collection } = one.history;
    if (latest?.at !== at || latest.collection !== collection) {
      const key = at + collection;
      latest = reads.get(key) ?? { collection, at, wanted: [] };
      reads.set(key, latest);
    }
    latest.wanted.push(one);
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

interface Read extends TimedRead {
  readonly wanted: Wanted[];
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
