/**
 * Reads a range of `_id` in sub-ranges, several of them concurrently. Split points are found ahead in the index, without
 * reading documents. Sub-ranges are yielded in the order of `_id`: so the progress of the range is one last key, however
 * many sub-ranges are being read, and the same documents give the same output, byte for byte.
 */

import { inOrder, prefetch } from "../lib/async.ts";
import { later } from "./cluster-time.ts";
import { type SplitPoint, findSplitPoint } from "./split-points.ts";
import type { Chunk, ClusterTime, Namespace, RangeProgress } from "./record.ts";
import { countFor, readRange, type SnapshotSettings } from "./snapshot.ts";

/** A part of a range that one command usually reads. */
export interface SubRange {
  readonly namespace: Namespace;
  readonly capped: boolean;
  readonly range: RangeProgress;
  /** The approximate number of documents. */
  readonly expected: number;
  /** The cluster time to read at; undefined: now. */
  readonly at: ClusterTime | undefined;
  /** No read is older than this. */
  readonly notBefore: ClusterTime | undefined;
  /** The number of the copy that it is of; undefined: the first. */
  readonly copy: number | undefined;
}

export interface SubRangeReader {
  /** How many sub-ranges to read concurrently. */
  readonly width: number;
  /** Yields the chunks of a sub-range. @throws MongotapError as readRange does */
  read(subRange: SubRange, signal: AbortSignal): AsyncIterable<Chunk>;
}

export interface SubRangeSettings extends SnapshotSettings {
  readonly reader: SubRangeReader;
  readonly copy?: number | undefined;
  readonly throttle: {
    /** Resolves when about `bytes` of BSON may be requested (pipeline/throttle.ts). */
    acquire(bytes: number, signal: AbortSignal): Promise<Permit>;
  };
}

interface Permit {
  /** Ends the permit; `bytes` is the number of bytes that were really read. */
  release(bytes: number): void;
}

/** Reads sub-ranges in this thread. */
export function localReader(
  settings: Pick<SnapshotSettings, "client" | "standalone" | "chunkBytes">,
  width: number,
): SubRangeReader {
  return {
    width,
    read({ namespace, capped, range, expected, at, notBefore }, signal) {
      return readRange({ ...settings, info: { namespace, capped }, notBefore, at, expected }, range, signal);
    },
  };
}

/**
 * Yields the chunks of a range from `progress` on, until its end. Reads the first chunk before it splits
 * anything, to learn the size of the documents.
 * @throws MongotapError `connect`, `auth`, `data`
 */
export async function* readInSubRanges(
  settings: SubRangeSettings,
  progress: RangeProgress,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const permit = await settings.throttle.acquire(FIRST_CHUNK_BYTES, signal);
  let bytesRead = 0;
  let plan: Plan | undefined;
  try {
    for await (const first of readRange(settings, progress, signal)) {
      bytesRead = first.documents.byteLength;
      if (!first.progress.done) plan = new Plan(settings, first);
      yield first;
      break;
    }
  } finally {
    permit.release(bytesRead);
  }
  if (plan !== undefined) yield* readRest(settings, plan, signal);
}

/** A guess: the size of the first chunk is not known in advance. */
const FIRST_CHUNK_BYTES = 64 * 1024;

async function* readRest({ reader }: SubRangeSettings, plan: Plan, signal: AbortSignal): AsyncGenerator<Chunk> {
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const read = async function* (planned: Planned): AsyncGenerator<readonly [Planned, Chunk]> {
    let bytesRead = 0;
    try {
      for await (const chunk of prefetch(reader.read(planned.subRange, ended), 1)) {
        bytesRead += chunk.documents.byteLength;
        yield [planned, chunk];
      }
    } finally {
      planned.permit.release(bytesRead);
    }
  };
  let at = plan.begin;
  try {
    for await (const [{ isLast }, chunk] of inOrder(plan.subRanges(ended), reader.width, read)) {
      plan.weigh(chunk);
      const { last = at.last, done } = chunk.progress;
      const documents = at.documents + chunk.documents.count;
      at = { ...at, documents, done: isLast && done, ...(last === undefined ? {} : { last }) };
      yield { ...chunk, progress: at };
    }
  } finally {
    stop.abort();
  }
}

interface Planned {
  readonly subRange: SubRange;
  readonly isLast: boolean;
  readonly permit: Permit;
}

/** Splits sub-ranges off the rest of a range. Their size follows from the average size of the last documents. */
class Plan {
  /** The progress after the first chunk. */
  readonly begin: RangeProgress;
  readonly #settings: SubRangeSettings;
  #rest: RangeProgress;
  /** The time to read the next sub-range at. It never decreases, because a change stream cannot go back. */
  #time: ClusterTime | undefined;
  #documentBytes = 1_000;

  constructor(settings: SubRangeSettings, first: Chunk) {
    this.#settings = settings;
    this.begin = first.progress;
    this.#rest = { ...first.progress, documents: 0 };
    this.#time = settings.notBefore === undefined || !first.exact ? undefined : first.at;
    this.weigh(first);
  }

  weigh({ documents }: Chunk): void {
    if (documents.count > 0) this.#documentBytes = documents.byteLength / documents.count;
  }

  async *subRanges(signal: AbortSignal): AsyncGenerator<Planned> {
    const { client, info, chunkBytes } = this.#settings;
    for (let isLast = false; !isLast;) {
      const expected = countFor(chunkBytes, this.#documentBytes);
      // Acquired before the split point is found: that reply has the time to read at, and no event that is emitted during
      // the wait may be newer.
      const permit = await this.#settings.throttle.acquire(Math.ceil(expected * this.#documentBytes), signal);
      const point = await findSplitPoint(client, info.namespace, this.#rest, expected, signal).catch(
        (error: unknown) => {
          permit.release(0);
          throw error;
        },
      );
      isLast = point.key === undefined;
      yield { subRange: this.#subRange(point, expected), isLast, permit };
    }
  }

  #subRange({ key, operationTime }: SplitPoint, expected: number): SubRange {
    const { info, notBefore, copy } = this.#settings;
    if (this.#time !== undefined && operationTime !== undefined) this.#time = later(this.#time, operationTime);
    const range = key === undefined ? this.#rest : { ...this.#rest, to: key };
    if (key !== undefined) {
      const { last: _, ...open } = this.#rest;
      this.#rest = { ...open, from: key };
    }
    return { namespace: info.namespace, capped: info.capped, range, expected, at: this.#time, notBefore, copy };
  }
}
