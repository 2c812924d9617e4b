/**
 * Reads one range of `_id` in pieces, several at once. A look ahead over the index, which reads no document, says where
 * the pieces begin; they come out in the order of `_id`, so a place to go on from is one last key however many are under
 * way, and the same documents give the same output, byte for byte.
 */

import { inOrder, prefetch } from "../lib/async.ts";
import { later } from "./cluster-time.ts";
import { type SplitPoint, findSplitPoint } from "./split-points.ts";
import type { Chunk, ClusterTime, Namespace, RangeProgress } from "./record.ts";
import { countFor, readRange, type SnapshotSettings } from "./snapshot.ts";

/** A closed range, or the end of an open one, that is read at once. */
export interface SubRange {
  readonly namespace: Namespace;
  readonly capped: boolean;
  readonly range: RangeProgress;
  /** About how many documents it has. */
  readonly expected: number;
  /** All of it is read as it was at this time; undefined: as it is. */
  readonly at: ClusterTime | undefined;
  readonly notBefore: ClusterTime | undefined;
}

export interface SubRangeReader {
  /** How many pieces are worth being read at once. */
  readonly width: number;
  /** Yields the chunks of a piece. @throws MongotapError as readRange does */
  read(subRange: SubRange, signal: AbortSignal): AsyncIterable<Chunk>;
}

export interface SubRangeSettings extends SnapshotSettings {
  readonly reader: SubRangeReader;
  readonly throttle: {
    /** Resolves when about so many bytes of BSON may be asked for (pipeline/throttle.ts). */
    acquire(bytes: number, signal: AbortSignal): Promise<Permit>;
  };
}

interface Permit {
  /** All has come and was taken, with so many bytes. */
  release(bytes: number): void;
}

/** Reads pieces over the connections of this very thread. */
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
 * Yields the chunks of one range behind `progress`, until its end. What is small is read as it comes.
 * @throws MongotapError `connect`, `auth`, `data`
 */
export async function* readInSubRanges(
  settings: SubRangeSettings,
  progress: RangeProgress,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const permit = await settings.throttle.acquire(FIRST_CHUNK_BYTES, signal);
  let came = 0;
  let plan: Plan | undefined;
  try {
    for await (const first of readRange(settings, progress, signal)) {
      came = first.documents.byteLength;
      if (!first.progress.done) plan = new Plan(settings, first);
      yield first;
      break;
    }
  } finally {
    permit.release(came);
  }
  if (plan !== undefined) yield* readRest(settings, plan, signal);
}

/** A guess, until it has come. */
const FIRST_CHUNK_BYTES = 64 * 1024;

async function* readRest({ reader }: SubRangeSettings, plan: Plan, signal: AbortSignal): AsyncGenerator<Chunk> {
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const read = async function* (planned: Planned): AsyncGenerator<readonly [Planned, Chunk]> {
    let came = 0;
    try {
      for await (const chunk of prefetch(reader.read(planned.subRange, ended), 1)) {
        came += chunk.documents.byteLength;
        yield [planned, chunk];
      }
    } finally {
      planned.permit.release(came);
    }
  };
  let at = plan.begin;
  try {
    for await (const [{ isLast }, chunk] of inOrder(plan.subRanges(ended), reader.width, read)) {
      plan.weigh(chunk);
      const { last = at.last, done } = chunk.progress;
      const rows = at.documents + chunk.documents.count;
      at = { ...at, documents: rows, done: isLast && done, ...(last === undefined ? {} : { last }) };
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

/** Cuts what has not been handed out yet, going by what the last documents weighed. */
class Plan {
  /** Behind the first chunk. */
  readonly begin: RangeProgress;
  readonly #settings: SubRangeSettings;
  #rest: RangeProgress;
  /** No piece is read at a time before that of the piece before it: a change stream cannot go back. */
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
      // In its turn, so that the time at which a piece is read is not before what was told while it had to wait.
      const permit = await this.#settings.throttle.acquire(Math.ceil(expected * this.#documentBytes), signal);
      const cut = await findSplitPoint(client, info.namespace, this.#rest, expected, signal).catch((error: unknown) => {
        permit.release(0);
        throw error;
      });
      isLast = cut.key === undefined;
      yield { subRange: this.#subRange(cut, expected), isLast, permit };
    }
  }

  #subRange({ key, operationTime }: SplitPoint, expected: number): SubRange {
    const { info, notBefore } = this.#settings;
    if (this.#time !== undefined && operationTime !== undefined) this.#time = later(this.#time, operationTime);
    const range = key === undefined ? this.#rest : { ...this.#rest, to: key };
    if (key !== undefined) {
      const { last: _, ...open } = this.#rest;
      this.#rest = { ...open, from: key };
    }
    return { namespace: info.namespace, capped: info.capped, range, expected, at: this.#time, notBefore };
  }
}
