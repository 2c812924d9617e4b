/**
 * How far a change stream has come, and which cluster times it has passed. Pure: each reply of the server makes a new
 * value. What "passed" means, and why: docs/decisions/003-when-a-stream-has-passed-a-time.md.
 */

import { MongotapError } from "../errors.ts";
import { toText } from "./bson-key.ts";
import { later, tickBefore } from "./cluster-time.ts";
import type { EventTime } from "./event-batch.ts";
import { BEGINNING, type Binding, type ClusterTime, type StreamPosition } from "./record.ts";
import { isHighWater, tokenData, tokenTime } from "./resume-token.ts";

export interface StreamProgress {
  readonly position: StreamPosition;
  /** The token of `position` is a high-water mark, not the token of an event. */
  readonly highWater: boolean;
  /** The last reply was empty: when the server sent it, nothing was left behind the token. */
  readonly drained: boolean;
  /** The token at which this stream was opened. */
  readonly firstToken: string;
  /** The majority had reached at least this time when the last reply was sent. */
  readonly committed: ClusterTime;
  /** The same when the last reply was requested. */
  readonly committedBefore: ClusterTime;
  /** The next read throws. */
  readonly ended: boolean;
}

/** What one reply of the server says about progress. */
export interface ReplyFacts {
  /** The post-batch resume token as BSON: behind every event of the reply, often far behind. */
  readonly token: Uint8Array | undefined;
  readonly operationTime: ClusterTime | undefined;
  /** The reply holds no event, and no event is half received. */
  readonly empty: boolean;
  /** Where only the first events of the reply are taken: the position behind them. */
  readonly takenTo?: StreamPosition | undefined;
  /** The last event taken is an invalidate: only `startAfter` resumes behind it. */
  readonly invalidated?: boolean;
  /** The token of an invalidate that is withheld from the output, as text: no position is taken there. */
  readonly withheld?: string | undefined;
  readonly ended?: boolean;
  /** The bindings that a position at `token` needs, of those by which the server filters. */
  readonly filter: readonly Binding[];
}

const UNOPENED: StreamProgress = {
  position: { token: "", resume: "resumeAfter", time: BEGINNING, sequence: 0 },
  highWater: false,
  drained: false,
  firstToken: "",
  committed: BEGINNING,
  committedBefore: BEGINNING,
  ended: false,
};

/**
 * The progress of a stream that has just been opened; `resumed` is the position it was resumed behind.
 * @throws MongotapError `unsupported` as `advance` does
 */
export function beginProgress(
  opening: Pick<ReplyFacts, "token" | "operationTime" | "filter">,
  resumed: StreamPosition | undefined,
): StreamProgress {
  const from = resumed ? { ...UNOPENED, position: resumed } : UNOPENED;
  const begun = advance(from, { ...opening, empty: false }, undefined);
  return { ...begun, firstToken: begun.position.token };
}

/**
 * The progress behind a reply. `last` is the time of its last event, undefined where it holds none.
 * @throws MongotapError `unsupported` where the server sends no post-batch resume token
 */
export function advance(progress: StreamProgress, reply: ReplyFacts, last: EventTime | undefined): StreamProgress {
  const next: StreamProgress = {
    ...progress,
    drained: reply.empty,
    committed: later(progress.committed, reply.operationTime ?? BEGINNING),
    committedBefore: progress.committed,
    ended: progress.ended || reply.ended === true,
  };
  if (reply.takenTo) return { ...next, position: reply.takenTo, highWater: false };
  if (!reply.token) {
    throw new MongotapError(
      "unsupported",
      "the server sends no post-batch resume token, so a position cannot be kept",
      { hint: "MongoDB 5.0 or newer is needed." },
    );
  }
  const token = toText(reply.token);
  if (token === reply.withheld) return next;
  const data = tokenData(reply.token);
  const highWater = isHighWater(data);
  // Until the stream has moved on, `startAfter` stays necessary where it was.
  if (last === undefined && token === progress.position.token) return { ...next, highWater };
  const before = last ?? progress.position;
  const time = tokenTime(data) ?? before.time;
  const position: StreamPosition = {
    token,
    resume: reply.invalidated === true ? "startAfter" : "resumeAfter",
    time,
    sequence: time === before.time ? before.sequence : 0,
    ...(highWater ? {} : { filter: reply.filter }),
  };
  return { ...next, position, highWater };
}

/**
 * Whether every event up to and including `time` has been returned. `sharded`: through mongos, an event at the time of
 * a high-water mark may still come from another shard.
 */
export function hasPassed(
  progress: StreamProgress,
  time: ClusterTime,
  { sharded }: { readonly sharded: boolean },
): boolean {
  const { position, highWater, drained, firstToken, committedBefore, ended } = progress;
  if (ended) return false; // the caller reads on, and the read throws
  if (position.time !== time) return position.time > time;
  if (sharded) return false;
  // A new stream begins one tick ahead of the last operation of its server, and the majority may be further behind: an
  // event of just that time may come, until an empty reply was requested when the majority had reached it.
  if (highWater && position.token === firstToken) return drained && committedBefore >= time;
  return highWater || drained;
}

/**
 * Events up to this time may be missing from the stream: copies that are merged with it must not be older. It may be ahead of the
 * majority, because a new stream begins at the last operation of its server, with a first token one tick ahead of that.
 */
export function startsAfter({ position, highWater, committed }: StreamProgress): ClusterTime {
  return later(committed, highWater ? tickBefore(position.time) : position.time);
}
