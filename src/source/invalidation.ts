/** Finds the events that end watched collections, databases and streams, and says what they mean for the run. */

import type { ChangeEvent } from "../codec/change-event.ts";
import { MongotapError, must } from "../errors.ts";
import { isBound, isBoundByName, isServerName, nameToNamespace } from "./bindings.ts";
import type { EventScan } from "./event-batch.ts";
import type { Binding, BsonDocuments, CollectionEnd, SortKey } from "./record.ts";

export interface TerminalEvents {
  readonly ends: readonly CollectionEnd[];
  /** Set where the run ends too: with a collection that is bound by its name, its database, or the stream itself. */
  readonly fatal: FatalInvalidation | undefined;
}

export interface FatalInvalidation {
  /** How many events of the batch this run still returns; the next run returns the others. */
  readonly count: number;
  readonly invalidated: boolean;
  readonly error: MongotapError;
}

/**
 * The terminal events of a batch, up to the first fatal one and the events that belong to it: a dropped database is one
 * drop for each collection, then dropDatabase. `outlives`: a run goes on when a collection ends that it has bound by name.
 */
export function findTerminalEvents(
  event: ChangeEvent,
  { bytes, offsets }: BsonDocuments,
  { sortKeys, terminal }: EventScan,
  bindings: readonly Binding[],
  outlives = false,
): TerminalEvents {
  const ends: CollectionEnd[] = [];
  let reason: Reason | undefined;
  let count = 0;
  let invalidated = false;
  let previous = -1;
  for (const i of terminal) {
    if (reason !== undefined && i !== previous + 1) break; // another event is between them
    previous = i;
    event.read(bytes, must(offsets[i], "a terminal event"));
    ends.push(...endsOf(event, must(sortKeys[i], "its sort key"), bindings));
    const found = reasonOf(event, outlives ? [] : bindings);
    if (found === undefined) continue;
    count = i + 1;
    if (event.operation === "invalidate") invalidated = true;
    if (reason === undefined || event.operation === "dropDatabase") reason = found;
  }
  return {
    ends,
    fatal: reason === undefined ? undefined : { count, invalidated, error: endedError(reason) },
  };
}

/** The bound collections that end with an event: a rename ends the one, and replaces what had the other name. */
function endsOf(event: ChangeEvent, sortKey: SortKey, bindings: readonly Binding[]): CollectionEnd[] {
  const { operation, namespace: name, renamedTo, wallTimeMs: ms } = event;
  if (operation !== "drop" && operation !== "rename") return [];
  const ends: CollectionEnd[] = [];
  const from = nameToNamespace(name);
  if (isBound(bindings, from)) {
    const reason = operation === "drop" ? "dropped" : "renamed";
    ends.push({ name, reason, ...(operation === "rename" ? { renamedTo } : {}), sortKey, ms });
  }
  if (operation === "rename" && isBound(bindings, nameToNamespace(renamedTo))) {
    const renamedFrom = isServerName(from.collection) ? {} : { renamedFrom: name };
    ends.push({ name: renamedTo, reason: "replaced", ...renamedFrom, sortKey, ms });
  }
  return ends;
}

interface Reason {
  readonly text: string;
  readonly hint?: string;
}

const COPIES_AGAIN = "Run again: a capture copies what is there now, then goes on.";

/** Why the run ends with this event; undefined for collections that are only bound as part of their database. */
function reasonOf(event: ChangeEvent, bindings: readonly Binding[]): Reason | undefined {
  const name = event.namespace;
  switch (event.operation) {
    case "drop":
      return isBoundByName(bindings, name) ? { text: `the collection ${name} was dropped` } : undefined;
    case "rename": {
      const { renamedTo } = event;
      if (isBoundByName(bindings, name)) return { text: `the collection ${name} was renamed to ${renamedTo}` };
      if (!isBoundByName(bindings, renamedTo)) return undefined;
      const isOfServer = isServerName(nameToNamespace(name).collection);
      const how = isOfServer ? "by a command such as $out, which wrote it anew" : `by renaming ${name} to its name`;
      return { text: `the collection ${renamedTo} was replaced ${how}`, hint: COPIES_AGAIN };
    }
    case "dropDatabase": {
      const isNamed = bindings.some(({ db, collection }) => db === name && collection !== undefined);
      return isNamed ? { text: `the database ${name} was dropped` } : undefined;
    }
    default:
      return { text: "the change stream was invalidated by the server" };
  }
}

function endedError({ text, hint }: Reason): MongotapError {
  return new MongotapError("ended", text, hint === undefined ? {} : { hint });
}
