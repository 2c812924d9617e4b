/** A change stream as a Source: its position first, then one batch for each reply. */

import type { ClusterTime, EventBatch, EventStream, Source, StreamPosition } from "../source/record.ts";
import { positionOnly, EMPTY_POSITION } from "./progress.ts";

export interface TailSettings {
  readonly open: (from: StreamPosition | undefined, signal: AbortSignal) => Promise<EventStream>;
  /** End when everything has come that the server had when the run began. */
  readonly untilCaughtUp: boolean;
  /** How long the server may hold an empty reply: the heartbeat. */
  readonly awaitMs: number;
}

export function tailSource(settings: TailSettings): Source {
  let target: ClusterTime | undefined; // outlives a reconnect: caught up with the beginning of the run
  return async function* tail(from, signal, limit) {
    await using stream = await settings.open(from?.stream, signal);
    target ??= stream.serverTime;
    yield heartbeat(stream);
    yield* follow(stream, { ...settings, target, limit });
  };
}

/** News about the position and nothing else. */
export function heartbeat(stream: EventStream): EventBatch {
  return positionOnly({ ...EMPTY_POSITION, stream: stream.position });
}

export interface FollowSettings {
  readonly untilCaughtUp: boolean;
  readonly awaitMs: number;
  readonly target: ClusterTime;
  readonly limit: number;
}

/** Yields replies until `target` has been passed (where asked for) or `limit` events have come. */
export async function* follow(
  stream: EventStream,
  { untilCaughtUp, awaitMs, target, limit }: FollowSettings,
): AsyncGenerator<EventBatch> {
  let left = limit;
  let patience = LEAST_MS;
  while (left > 0 && !(untilCaughtUp && stream.hasPassed(target))) {
    const batch = await stream.next(untilCaughtUp ? Math.min(awaitMs, patience) : awaitMs);
    const count = batch.documents.count;
    patience = count > 0 ? LEAST_MS : Math.min(patience * 2, MOST_MS);
    yield count > left ? stream.split(batch, left)[0] : batch;
    left -= count;
  }
}

/** A reply without events comes only when its time is over: while somebody waits for the end, that is short at first. */
const LEAST_MS = 2;
const MOST_MS = 50;
