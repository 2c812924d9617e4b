/** Replies of a change stream as facts, with tokens of one's choice, for tests of its progress. */
import { BSON } from "mongodb";
import type { EventTime } from "../../src/source/event-batch.ts";
import { type ClusterTime, clusterTime, type StreamPosition } from "../../src/source/record.ts";
import { advance, beginProgress, type ReplyFacts, type StreamProgress } from "../../src/source/stream-progress.ts";

export const FILTER = [{ db: "shop", collection: "c" }];

/** The n-th tick of a second. */
export function time(n: number): ClusterTime {
  return clusterTime(0x60000000, n);
}

export function token(data: string): Uint8Array {
  return BSON.serialize({ _data: data.toUpperCase() });
}

/** The token of an event at tick `n`. */
export function event(n: number): Uint8Array {
  return token(`82${time(n)}2b022c0100296e5a1004`);
}

/** A high-water mark at tick `n`. */
export function mark(n: number): Uint8Array {
  return token(`82${time(n)}2b0229296e04`);
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

export function position(bytes: Uint8Array, n: number, sequence = 0): StreamPosition {
  return { token: textOf(bytes), resume: "resumeAfter", time: time(n), sequence };
}

/** A new stream; `majority`: the operation time of the reply that opened it. */
export function opened(first: Uint8Array, majority: number | undefined): StreamProgress {
  const operationTime = majority === undefined ? undefined : time(majority);
  return beginProgress({ token: first, operationTime, filter: FILTER }, undefined);
}

/** A stream that was resumed behind `from`, and whose first token is the same. */
export function resumed(first: Uint8Array, n: number, majority: number): StreamProgress {
  return beginProgress({ token: first, operationTime: time(majority), filter: FILTER }, position(first, n));
}

type Step = (progress: StreamProgress) => StreamProgress;

interface Reply extends Partial<Omit<ReplyFacts, "token" | "operationTime">> {
  readonly majority?: number;
}

/** A reply without events. */
export function empty(bytes: Uint8Array, { majority, ...facts }: Reply = {}): Step {
  const operationTime = majority === undefined ? undefined : time(majority);
  return (progress) =>
    advance(progress, { token: bytes, operationTime, empty: true, filter: FILTER, ...facts }, undefined);
}

/** A reply whose last event is the `sequence`-th at tick `n`. */
export function events(n: number, bytes: Uint8Array, { majority, ...facts }: Reply = {}, sequence = 1): Step {
  const last: EventTime = { time: time(n), sequence };
  const operationTime = majority === undefined ? undefined : time(majority);
  return (progress) => advance(progress, { token: bytes, operationTime, empty: false, filter: FILTER, ...facts }, last);
}

export function after(begin: StreamProgress, ...steps: readonly Step[]): StreamProgress {
  return steps.reduce((progress, step) => step(progress), begin);
}
