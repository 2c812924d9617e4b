/** Finds the event with which a watched collection or database ends, and says so in words. */

import type { ChangeEvent } from "../codec/change-event.ts";
import { MongotapError } from "../errors.ts";
import type { Binding } from "./bindings.ts";
import { isBoundByName } from "./bindings.ts";
import type { Documents } from "./record.ts";

export interface Ending {
  /** How many events of the batch belong to the run that ends: up to and with the last one that tells of the end. */
  readonly count: number;
  readonly invalidated: boolean;
  readonly error: MongotapError;
}

/**
 * The first end among the events of a batch, together with the events that belong to it (a dropped database is told
 * as one drop for each collection, then dropDatabase, then invalidate). What comes after is left for the next run.
 */
export function findEnd(event: ChangeEvent, { bytes, offsets }: Documents, bindings: readonly Binding[]): Ending | undefined {
  let reason: string | undefined;
  let count = 0;
  let invalidated = false;
  for (const [i, offset] of offsets.entries()) {
    event.read(bytes, offset);
    const found = endingOf(event, bindings);
    if (found === undefined && reason !== undefined) break;
    if (found === undefined) continue;
    count = i + 1;
    if (event.operation === "invalidate") invalidated = true;
    if (reason === undefined || event.operation === "dropDatabase") reason = found;
  }
  return reason === undefined ? undefined : { count, invalidated, error: new MongotapError("ended", reason) };
}

/** What ended with this event, as a sentence; undefined for changes of documents and of collections bound by `db.*`. */
function endingOf(event: ChangeEvent, bindings: readonly Binding[]): string | undefined {
  const name = event.namespace;
  switch (event.operation) {
    case "drop":
      return isBoundByName(bindings, name) ? `the collection ${name} was dropped` : undefined;
    case "rename":
      if (isBoundByName(bindings, name)) return `the collection ${name} was renamed to ${event.renamedTo}`;
      return isBoundByName(bindings, event.renamedTo) ? `the collection ${event.renamedTo} was replaced by renaming ${name}` : undefined;
    case "dropDatabase":
      return `the database ${name} was dropped`;
    case "invalidate":
      return "the change stream was invalidated by the server";
    default:
      return undefined;
  }
}
