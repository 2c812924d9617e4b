/** How a Position changes: new collections, ranges that have been read, states. */

import { must } from "../errors.ts";
import {
  type CollectionState,
  type Copying,
  type EventBatch,
  NO_DOCUMENTS,
  type NonEmpty,
  type Position,
  type RangeProgress,
} from "../source/record.ts";

export const EMPTY_POSITION: Position = { collections: {} };

/** One range over all keys, of which nothing has been read. */
const WHOLE: NonEmpty<RangeProgress> = [{ documents: 0, done: false }];

export function withCollection(position: Position, name: string, state: CollectionState): Position {
  return { ...position, collections: { ...position.collections, [name]: state } };
}

export function withoutCollection(position: Position, name: string): Position {
  const { [name]: _, ...collections } = position.collections;
  return { ...position, collections };
}

/**
 * The copy of a collection as far as it has come: of one that is new (`state` undefined) or pinned, nothing has been
 * read. Undefined where there is nothing to copy: it is live, stale or unbound.
 */
export function copyOf(state: CollectionState | undefined, uuid: string | null): Copying | undefined {
  if (state === undefined) return { phase: "copying", uuid, ranges: WHOLE };
  switch (state.phase) {
    case "pinned":
      return { ...state, phase: "copying", ranges: WHOLE };
    case "copying":
      return state;
    case "live":
    case "stale":
    case "unbound":
      return undefined;
  }
}

/** `copy` with `range` as its range number `index`. */
export function withRange(copy: Copying, index: number, range: RangeProgress): Copying {
  const [first, ...rest] = copy.ranges.with(index, range);
  return { ...copy, ranges: [must(first, "the first range"), ...rest] };
}

export function isComplete(copy: Copying): boolean {
  return copy.ranges.every((range) => range.done);
}

/** The state of a collection that a capture has copied to the end. */
export function liveAfter({ ranges }: Copying): CollectionState {
  return { phase: "live", copied: { documents: documentsCopied(ranges), ranges: ranges.length } };
}

/** How many documents have been read of `ranges`. */
export function documentsCopied(ranges: readonly RangeProgress[]): number {
  return ranges.reduce((sum, { documents }) => sum + documents, 0);
}

/** Whether all collections that are bound are live. */
export function isAllLive(position: Position): boolean {
  return Object.values(position.collections).every(({ phase }) => phase === "live" || phase === "unbound");
}

/** A batch without documents, which moves the position. */
export function positionOnly(position: Position): EventBatch {
  return { kind: "events", documents: NO_DOCUMENTS, sortKeys: [], position };
}
