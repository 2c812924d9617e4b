/** Finds the events that end watched collections, databases and streams, and says what they mean for the run. */

import type { ChangeEvent } from "../codec/change-event.ts";
import { MongotapError, must } from "../errors.ts";
import { isBound, isBoundByName, nameToNamespace } from "./bindings.ts";
import type { EventScan } from "./event-batch.ts";
import type { Binding, BsonDocuments, CollectionEnd, SortKey } from "./record.ts";

export interface TerminalEvents {
  readonly ends: readonly CollectionEnd[];
  /** Set where the run ends too: with a collection that is bound by its name, a database, or the stream itself. */
  readonly fatal: FatalInvalidation | undefined;
}

export interface FatalInvalidation {
  /** How many events of the batch this run still returns; the next run returns the others. */
  readonly count: number;
  readonly invalidated: boolean;
  /** A database was dropped, and its stream has not returned the invalidate that follows. */
  readonly invalidateDue: boolean;
  readonly error: MongotapError;
}

/**
 * The terminal events of a batch, up to the first fatal one and the events that belong to it: a dropped database is one
 * drop for each collection, then dropDatabase, then invalidate.
 */
export function findTerminalEvents(
  event: ChangeEvent,
  { bytes, offsets }: BsonDocuments,
  { sortKeys, terminal }: EventScan,
  bindings: readonly Binding[],
): TerminalEvents {
  const ends: CollectionEnd[] = [];
  let reason: string | undefined;
  let count = 0;
  let invalidated = false;
  let dropped = false;
  let previous = -1;
  for (const i of terminal) {
    if (reason !== undefined && i !== previous + 1) break; // another event is between them
    previous = i;
    event.read(bytes, must(offsets[i], "a terminal event"));
    ends.push(...endsOf(event, must(sortKeys[i], "its sort key"), bindings));
    const found = reasonOf(event, bindings);
    if (found === undefined) continue;
    count = i + 1;
    if (event.operation === "invalidate") invalidated = true;
    if (event.operation === "dropDatabase") dropped = true;
    if (reason === undefined || event.operation === "dropDatabase") reason = found;
  }
  return {
    ends,
    fatal:
      reason === undefined
        ? undefined
        : { count, invalidated, invalidateDue: dropped && !invalidated, error: new MongotapError("ended", reason) },
  };
}

function endsOf(event: ChangeEvent, sortKey: SortKey, bindings: readonly Binding[]): CollectionEnd[] {
  if (event.operation === "drop") return [{ name: event.namespace, how: "gone", sortKey }];
  if (event.operation !== "rename") return [];
  const gone: CollectionEnd = { name: event.namespace, how: "gone", sortKey };
  const isWatched = isBound(bindings, nameToNamespace(event.renamedTo));
  return isWatched ? [gone, { name: event.renamedTo, how: "replaced", sortKey }] : [gone];
}

/** Why the run ends with this event; undefined for collections that are only bound as part of their database. */
function reasonOf(event: ChangeEvent, bindings: readonly Binding[]): string | undefined {
  const name = event.namespace;
  switch (event.operation) {
    case "drop":
      return isBoundByName(bindings, name) ? `the collection ${name} was dropped` : undefined;
    case "rename":
      if (isBoundByName(bindings, name)) return `the collection ${name} was renamed to ${event.renamedTo}`;
      return isBoundByName(bindings, event.renamedTo)
        ? `the collection ${event.renamedTo} was replaced by renaming ${name}`
        : undefined;
    case "dropDatabase":
      return `the database ${name} was dropped`;
    default:
      return "the change stream was invalidated by the server";
  }
}
