/** Small steps of a Position: what is saved when a chunk of a range has been written. */

import {
  type CollectionProgress,
  type EventBatch,
  NO_DOCUMENTS,
  type Phase,
  type Position,
  type RangeProgress,
} from "../source/record.ts";

export const EMPTY_POSITION: Position = { collections: {} };

/** A collection of which nothing has been read: one range over all keys. */
export function notStarted(uuid: string | null, phase: Phase): CollectionProgress {
  return { uuid, phase, ranges: [{ documents: 0, done: false }] };
}

export function withCollection(position: Position, name: string, progress: CollectionProgress): Position {
  return { ...position, collections: { ...position.collections, [name]: progress } };
}

export function withRange(progress: CollectionProgress, index: number, range: RangeProgress): CollectionProgress {
  return { ...progress, ranges: progress.ranges.with(index, range) };
}

export function isComplete(progress: CollectionProgress): boolean {
  return progress.ranges.every((range) => range.done);
}

export function isAllLive(position: Position): boolean {
  return Object.values(position.collections).every(({ phase }) => phase === "live");
}

/** No documents: only where a run would go on. */
export function positionOnly(position: Position): EventBatch {
  return { kind: "events", documents: NO_DOCUMENTS, sortKeys: [], position };
}
