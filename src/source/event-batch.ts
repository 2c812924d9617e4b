/** Batches of change events: their sort keys, and how a batch is split with a position between the halves. */

import { readUint32 } from "../codec/bson.ts";
import { ChangeEvent, TERMINAL_OPERATIONS } from "../codec/change-event.ts";
import { must } from "../errors.ts";
import { toText } from "./bson-key.ts";
import { isBound, nameToNamespace, narrowed } from "./bindings.ts";
import { lacksDocument } from "./key-history.ts";
import {
  type Binding,
  type BsonDocuments,
  type ClusterTime,
  type EventBatch,
  incrementOf,
  secondsOf,
  type SortKey,
  sortKey,
  sortKeyOf,
  sortKeySequence,
  sortKeyTime,
  type StreamPosition,
} from "./record.ts";

/** A cluster time, and how many events of exactly that time the stream has returned. */
export interface EventTime {
  readonly time: ClusterTime;
  readonly sequence: number;
}

export function eventTimeOf(key: SortKey): EventTime {
  return { time: sortKeyTime(key), sequence: sortKeySequence(key) };
}

/** What one pass over the events of a reply finds. */
export interface EventScan {
  /** Of each event; the sequence goes on from the event before the reply. */
  readonly sortKeys: readonly SortKey[];
  /** The indexes of terminal events; mostly empty. */
  readonly terminal: readonly number[];
  /** The namespaces of the other events, each with the sort key of its last one. */
  readonly namespaces: ReadonlyMap<string, SortKey>;
  /** Some events are updates without their document. */
  readonly lacksDocuments: boolean;
}

export function scanEvents(event: ChangeEvent, { bytes, offsets }: BsonDocuments, before: EventTime): EventScan {
  let seconds = secondsOf(before.time);
  let increment = incrementOf(before.time);
  let { sequence } = before;
  const terminal: number[] = [];
  const namespaces = new Map<string, SortKey>();
  let namespace = "";
  let key = sortKey(before.time, sequence);
  let lacksDocuments = false;
  const sortKeys = offsets.map((offset, i) => {
    event.read(bytes, offset);
    const isTerminal = TERMINAL_OPERATIONS.has(event.operation);
    if (isTerminal) terminal.push(i);
    lacksDocuments ||= lacksDocument(event);
    const name = isTerminal ? "" : event.namespace;
    if (name !== namespace) {
      if (namespace !== "") namespaces.set(namespace, key);
      namespace = name;
    }
    const { clusterTime } = event.slots;
    if (clusterTime.type !== 0) {
      // A BSON timestamp: the increment in the low four bytes, the seconds in the high four.
      const ownIncrement = readUint32(bytes, clusterTime.begin);
      const ownSeconds = readUint32(bytes, clusterTime.begin + 4);
      if (ownSeconds !== seconds || ownIncrement !== increment) sequence = 0;
      seconds = ownSeconds;
      increment = ownIncrement;
    }
    sequence += 1;
    key = sortKeyOf(seconds, increment, sequence);
    return key;
  });
  if (namespace !== "") namespaces.set(namespace, key);
  return { sortKeys, terminal, namespaces, lacksDocuments };
}

/**
 * The first `count` events (at least 1), with the position behind the last of them, and the others: they replace `batch`.
 * `filter`: the bindings by which the server filters.
 */
export function splitEvents(
  batch: EventBatch,
  count: number,
  filter: readonly Binding[],
): readonly [EventBatch, EventBatch] {
  const { bytes, offsets } = batch.documents;
  const event = new ChangeEvent();
  event.read(bytes, must(offsets[count - 1], "the last event of the head"));
  const { begin, end } = event.slots._id;
  const last = must(batch.sortKeys[count - 1], "its sort key");
  const stream: StreamPosition = {
    token: toText(bytes.subarray(begin, end)),
    resume: event.operation === "invalidate" ? "startAfter" : "resumeAfter",
    ...eventTimeOf(last),
    filter: filterAt(event, filter),
  };
  // `changed` stays that of all events of the batch: a name too many does no harm.
  const { head: _, ends = [], ...whole } = batch;
  const [first, others] = batch.documents.split(count);
  const head: EventBatch = {
    ...whole,
    documents: first,
    sortKeys: batch.sortKeys.slice(0, count),
    ...lookedUp(batch, 0, count),
    ends: ends.filter((end) => end.sortKey <= last),
    position: { ...batch.position, stream },
  };
  const rest: EventBatch = {
    ...whole,
    documents: others,
    sortKeys: batch.sortKeys.slice(count),
    ...lookedUp(batch, count),
    ends: ends.filter((end) => end.sortKey > last),
  };
  return [head, rest];
}

/** The bindings that a position behind `event` is saved with, of those by which the server filters. */
export function filterAt(event: ChangeEvent, filter: readonly Binding[]): readonly Binding[] {
  // An end may come because of several bindings, and by other branches of the filter.
  return TERMINAL_OPERATIONS.has(event.operation) ? filter : narrowed(filter, nameToNamespace(event.namespace));
}

function lookedUp(
  { fullDocuments, notes }: EventBatch,
  begin: number,
  end?: number,
): Pick<EventBatch, "fullDocuments" | "notes"> {
  return {
    ...(fullDocuments ? { fullDocuments: fullDocuments.slice(begin, end) } : {}),
    ...(notes ? { notes: notes.slice(begin, end) } : {}),
  };
}

/** The events of `bindings`: with those that rename a collection to a bound name, and those without a namespace (invalidate). */
export function boundOnly(batch: EventBatch, bindings: readonly Binding[]): EventBatch {
  const { bytes, offsets } = batch.documents;
  const event = new ChangeEvent();
  const isBoundAt = offsets.map((offset) => {
    event.read(bytes, offset);
    const { namespace, renamedTo } = event;
    if (event.operation === "dropDatabase") return bindings.some(({ db }) => db === namespace);
    return (
      namespace === "" ||
      isBound(bindings, nameToNamespace(namespace)) ||
      (renamedTo !== "" && isBound(bindings, nameToNamespace(renamedTo)))
    );
  });
  if (!isBoundAt.includes(false)) return batch;
  return {
    ...batch,
    documents: batch.documents.only(offsets.filter((_, i) => isBoundAt[i])),
    sortKeys: batch.sortKeys.filter((_, i) => isBoundAt[i]),
  };
}
