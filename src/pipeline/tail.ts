/** A change stream as a Source: its position first, then one batch for each reply. */

import type { ClusterTime, EventBatch, EventStream, Source, StreamPosition } from "../source/record.ts";
import { positionOnly, EMPTY_POSITION } from "./position.ts";

export interface TailSettings {
  readonly open: (from: StreamPosition | undefined, signal: AbortSignal) => Promise<EventStream>;
  /** End when the stream has passed what the server had when the run began. */
  readonly untilCaughtUp: boolean;
  /** How long (ms) the server may hold an empty reply: the interval of heartbeats. */
  readonly awaitMs: number;
}

export function tailSource(settings: TailSettings): Source {
  let target: ClusterTime | undefined; // outlives a reconnect: it is of the beginning of the run
  return async function* tail(from, signal) {
    await using stream = await settings.open(from?.stream, signal);
    target ??= stream.serverTime;
    yield heartbeat(stream);
    for await (const batch of follow(stream, { ...settings, target }))
      yield { ...batch, head: (count) => stream.split(batch, count)[0] };
  };
}

/** A batch with the position of the stream and no events. */
function heartbeat(stream: EventStream): EventBatch {
  return positionOnly({ ...EMPTY_POSITION, stream: stream.position });
}

/** How long (ms) the server may hold an empty reply shortly before the end: doubles with each empty reply. */
const SHORTEST_AWAIT_MS = 2;
const LONGEST_AWAIT_MS = 50;

/** Yields replies, without end or, with `untilCaughtUp`, until the stream has passed `target`. */
export async function* follow(
  stream: EventStream,
  {
    untilCaughtUp,
    awaitMs,
    target,
  }: Pick<TailSettings, "untilCaughtUp" | "awaitMs"> & { readonly target: ClusterTime },
): AsyncGenerator<EventBatch> {
  let shortAwaitMs = SHORTEST_AWAIT_MS;
  while (!(untilCaughtUp && stream.hasPassed(target))) {
    const batch = await stream.next(untilCaughtUp ? Math.min(awaitMs, shortAwaitMs) : awaitMs);
    shortAwaitMs = batch.documents.count > 0 ? SHORTEST_AWAIT_MS : Math.min(shortAwaitMs * 2, LONGEST_AWAIT_MS);
    yield batch;
  }
}
