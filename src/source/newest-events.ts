/**
 * A change stream with the newest change of each document only. A first pass over the stream, without documents, finds which
 * one that is: for readers that take several records of one key in any order.
 */

import { ElementWalker } from "../codec/bson.ts";
import { ChangeEvent, TERMINAL_OPERATIONS } from "../codec/change-event.ts";
import { must } from "../errors.ts";
import { keyText } from "./equal-keys.ts";
import { FilteredStream, withOnly } from "./filtered-stream.ts";
import type { EventBatch, EventStream, SortKey } from "./record.ts";
import { tokenData, tokenPlace } from "./resume-token.ts";

const ID_NAME = new TextEncoder().encode("_id");

/** The stages of the first pass: it needs keys only. */
export const KEYS_ONLY = [{ $project: { operationType: 1, clusterTime: 1, ns: 1, to: 1, documentKey: 1 } }] as const;

/** What the first pass has found. */
export class NewestChanges {
  /** By `db.collection` and key, the place of the last change. */
  readonly #last = new Map<string, Map<string, string>>();
  readonly #event = new ChangeEvent();
  readonly #walker = new ElementWalker();
  #end: SortKey | undefined;
  #size = 0;

  /** How many documents have changed. */
  get size(): number {
    return this.#size;
  }

  add({ documents: { bytes, offsets }, sortKeys }: EventBatch): void {
    const event = this.#event;
    for (const [i, offset] of offsets.entries()) {
      event.read(bytes, offset);
      const sortKey = must(sortKeys[i], "the sort key of an event");
      this.#end = sortKey;
      const key = this.#keyOf(event);
      if (key === undefined) continue;
      let keys = this.#last.get(event.namespace);
      if (keys === undefined) this.#last.set(event.namespace, (keys = new Map<string, string>()));
      if (!keys.has(key)) this.#size += 1;
      keys.set(key, eventPlace(event, sortKey));
    }
  }

  /** Whether the event is the newest of its document, or no change of a document; false for what comes behind the first pass. */
  isNewest(event: ChangeEvent, sortKey: SortKey): boolean {
    if (this.#end === undefined || sortKey > this.#end) return false;
    const key = this.#keyOf(event);
    return key === undefined || this.#last.get(event.namespace)?.get(key) === eventPlace(event, sortKey);
  }

  /** Undefined for an event that is not of a document. */
  #keyOf({ operation, bytes, slots: { documentKey } }: ChangeEvent): string | undefined {
    if (TERMINAL_OPERATIONS.has(operation) || !documentKey.isDocument) return undefined;
    const walker = this.#walker;
    walker.start(bytes, documentKey.begin);
    while (walker.next()) {
      if (walker.nameIs(ID_NAME))
        return keyText({ type: walker.type, bytes, begin: walker.valueBegin, end: walker.valueEnd });
    }
    return undefined;
  }
}

/** Not the sort key: one pass may leave out, and not count, events of a transaction that the other one has. */
function eventPlace({ bytes, slots }: ChangeEvent, sortKey: SortKey): string {
  return tokenPlace(tokenData(bytes, slots._id.begin)) ?? sortKey;
}

/** The events of `stream` that are the newest of their documents. */
export function newestEvents(stream: EventStream, changes: NewestChanges): EventStream {
  const event = new ChangeEvent();
  return new FilteredStream(stream, (batch) => {
    const { bytes, offsets } = batch.documents;
    const kept = [...offsets.entries()].flatMap(([i, offset]) => {
      event.read(bytes, offset);
      return changes.isNewest(event, must(batch.sortKeys[i], "the sort key of an event")) ? [i] : [];
    });
    if (kept.length === offsets.length) return batch;
    const keptKeys = new Set(kept.map((i) => batch.sortKeys[i]));
    const ends = (batch.ends ?? []).filter(({ sortKey }) => keptKeys.has(sortKey));
    // Also a collection of which every event here is left out has changed.
    return { ...withOnly(batch, kept, ends), ...(batch.changed === undefined ? {} : { changed: batch.changed }) };
  });
}
