/** Changes as a Source, of each document the newest only: two passes over the same part of the change stream. */

import { must } from "../errors.ts";
import type { EventBatch, EventStream, Position, Source, StreamPosition } from "../source/record.ts";
import { Merge } from "./merge.ts";
import { EMPTY_POSITION, positionOnly } from "./position.ts";
import { follow } from "./tail.ts";

/** What the first pass collects. */
interface Changes {
  readonly size: number;
  add(batch: EventBatch): void;
}

export interface NewestSettings<C extends Changes> {
  readonly changes: C;
  /** How many documents the first pass collects at most, about: then the second one ends where it has come to. */
  readonly mostDocuments: number;
  /** Opens the stream without documents. */
  readonly openFirst: (from: StreamPosition | undefined, signal: AbortSignal) => Promise<EventStream>;
  /** Opens the stream with what `changes` says is the newest. */
  readonly openSecond: (from: StreamPosition | undefined, signal: AbortSignal, changes: C) => Promise<EventStream>;
  /** Whether the one position is behind the other. */
  readonly isBehind: (one: StreamPosition, other: StreamPosition) => boolean;
  /** Called where the first pass has ended early. */
  readonly onCut: () => void;
}

const PACE = { untilCaughtUp: true, awaitMs: 1_000 } as const;

export function newestSource<C extends Changes>(settings: NewestSettings<C>): Source {
  let end: StreamPosition | undefined; // outlives a reconnect, as what the first pass has collected does
  return async function* newest(from = EMPTY_POSITION, signal) {
    end ??= await firstPass(settings, from, signal);
    yield* secondPass(settings, from, end, signal);
  };
}

/** Resolves to where it has come to. */
async function firstPass<C extends Changes>(
  { changes, mostDocuments, openFirst, onCut }: NewestSettings<C>,
  from: Position,
  signal: AbortSignal,
): Promise<StreamPosition> {
  await using stream = await openFirst(from.stream, signal);
  for await (const batch of follow(stream, { ...PACE, target: stream.serverTime })) {
    changes.add(batch);
    batch.documents.release();
    if (changes.size < mostDocuments) continue;
    onCut();
    break;
  }
  return stream.position;
}

async function* secondPass<C extends Changes>(
  { changes, openSecond, isBehind }: NewestSettings<C>,
  from: Position,
  end: StreamPosition,
  signal: AbortSignal,
): AsyncGenerator<EventBatch> {
  await using stream = await openSecond(from.stream, signal, changes);
  const merge = new Merge(stream, from);
  yield positionOnly(merge.position);
  if (from.stream !== undefined && !isBehind(end, from.stream)) return;
  for await (const batch of follow(stream, { ...PACE, target: end.time })) {
    const position = must(batch.position.stream, "the position of a stream");
    // What comes behind the first pass is left out: the next run reads it, so no position may be behind it.
    const isOver = isBehind(position, end);
    yield merge.stamp(isOver ? { ...batch, position: { ...batch.position, stream: end } } : batch);
    if (isOver) return;
  }
}
