/**
 * Throttles the reading of collections: a token bucket holds a rate (`--rate-limit`), and a lag gate stops reading while
 * the majority of the replica set is too far behind its primary (`--max-lag`). Only chunks wait, not a change stream.
 */

import { sleep } from "../lib/async.ts";
import type { Chunk } from "../source/record.ts";

export interface ThrottleSettings {
  /** Of BSON, for all reads together; undefined: no limit. */
  readonly bytesPerSecond: number | undefined;
  /** Undefined: reading never waits for the majority. */
  readonly lag: LagSettings | undefined;
}

export interface LagSettings {
  /** How far (ms) the majority is behind the primary; undefined where that is unknown. */
  readonly measure: (signal: AbortSignal) => Promise<number | undefined>;
  /** A lag (ms) above this closes the gate; a lag of half of it or less opens it again. */
  readonly mostMs: number;
  readonly warn: (message: string) => void;
}

/** The time, for tests to replace. */
export interface Clock {
  /** Monotonic, in ms. */
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface ReadThrottle {
  /** The largest chunk (bytes) with which the rate holds. */
  readonly chunkBytes: number;
  /**
   * Chunks wait for a permit and none is being read: every later chunk will be newer than what a change stream returns
   * now.
   */
  readonly isBlocked: boolean;
  /** How many permits have been issued. */
  readonly requested: number;
  /** Resolves when a chunk of about `bytes` may be requested; rejects with the signal's reason. */
  acquire(bytes: number, signal: AbortSignal): Promise<Permit>;
  /** The same chunks; each is requested only with a permit. */
  throttled(chunks: AsyncIterable<Chunk>, signal: AbortSignal): AsyncGenerator<Chunk>;
}

export interface Permit {
  /** Reports how many bytes the chunk had; 0 where it could not be read. */
  release(bytes: number): void;
}

const LEAST_CHUNK_BYTES = 64 * 1024;
/** Chunks per second: each is small within ten seconds, and no pause between two is long enough for a timeout. */
const CHUNKS_PER_SECOND = 4;
/** How much unused time (ms) may be made up for later: timers are late, and disks are slow at times. */
const SLACK_MS = 250;

const MEASURE_EVERY_MS = 1_000;
const SHORTEST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;
const WARN_EVERY_MS = 60_000;

const SYSTEM_CLOCK: Clock = { now: () => performance.now(), sleep };

/** The largest chunk with which the rate holds over any ten seconds: a quarter of a second's worth. */
export function chunkBytesAt(bytesPerSecond: number): number {
  return Math.max(LEAST_CHUNK_BYTES, Math.floor(bytesPerSecond / CHUNKS_PER_SECOND));
}

export function createThrottle({ bytesPerSecond, lag }: ThrottleSettings, clock = SYSTEM_CLOCK): ReadThrottle {
  const bucket = bytesPerSecond === undefined ? undefined : new TokenBucket(bytesPerSecond / 1000, clock);
  const gate = lag === undefined ? undefined : new LagGate(lag, clock);
  const chunkBytes = bytesPerSecond === undefined ? Infinity : chunkBytesAt(bytesPerSecond);
  let waiting = 0;
  let outstanding = 0;
  let requested = 0;

  async function acquire(bytes: number, signal: AbortSignal): Promise<Permit> {
    waiting += 1;
    try {
      await gate?.pass(signal);
      await bucket?.take(bytes, signal);
    } finally {
      waiting -= 1;
    }
    outstanding += 1;
    requested += 1;
    return {
      release(read) {
        outstanding -= 1;
        bucket?.correct(read - bytes);
      },
    };
  }
  return {
    chunkBytes,
    get isBlocked() {
      return waiting > 0 && outstanding === 0;
    },
    get requested() {
      return requested;
    },
    acquire,
    async *throttled(chunks, signal) {
      const iterator = chunks[Symbol.asyncIterator]();
      let expected = Number.isFinite(chunkBytes) ? chunkBytes : 0;
      try {
        for (;;) {
          const permit = await acquire(expected, signal);
          let read = 0;
          try {
            const next = await iterator.next();
            if (next.done === true) return;
            read = next.value.documents.byteLength;
            yield next.value;
            if (next.value.progress.done) return; // no permit for the end itself
          } finally {
            permit.release(read);
          }
          expected = read;
        }
      } finally {
        await iterator.return?.();
      }
    },
  };
}

/** A token bucket that may be overdrawn: each taker waits until the debt of those before has been paid off. */
class TokenBucket {
  readonly #rate: number;
  readonly #clock: Clock;
  /** When (ms) everything taken so far is paid for. */
  #paidAt = -Infinity;

  /** `rate` is in bytes per ms. */
  constructor(rate: number, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    const start = Math.max(this.#paidAt, now - SLACK_MS);
    this.#paidAt = start + bytes / this.#rate;
    if (start <= now) return;
    try {
      await this.#clock.sleep(start - now, signal);
    } catch (error) {
      this.correct(-bytes);
      throw error;
    }
  }

  /** `bytes` more were read than taken; negative: fewer. */
  correct(bytes: number): void {
    this.#paidAt += bytes / this.#rate;
  }
}

/** Closed while the majority is too far behind. */
class LagGate {
  readonly #lag: LagSettings;
  readonly #clock: Clock;
  #measuredAt = -Infinity;
  /** Settles when the gate knows what it last asked for. */
  #measuring = Promise.resolve();
  /** When it was closed, and when that was last logged; undefined while it is open. */
  #closed: { readonly since: number; warnedAt: number } | undefined;

  constructor(lag: LagSettings, clock: Clock) {
    this.#lag = lag;
    this.#clock = clock;
  }

  async pass(signal: AbortSignal): Promise<void> {
    for (let ms = SHORTEST_WAIT_MS; await this.#isClosed(signal); ms = Math.min(LONGEST_WAIT_MS, ms * 2)) {
      await this.#clock.sleep(ms, signal);
    }
  }

  async #isClosed(signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.now();
    if (now - this.#measuredAt >= MEASURE_EVERY_MS) {
      this.#measuredAt = now;
      this.#measuring = this.#measure(signal).then((lagMs) => this.#judge(lagMs, now));
      await this.#measuring;
    } else {
      await this.#measuring.catch(() => undefined); // the reader that measures has the error
      signal.throwIfAborted();
    }
    return this.#closed !== undefined;
  }

  /**
   * The first write after a quiet hour is an hour ahead of the majority, for the few ms until the majority has it: a large
   * lag is measured twice.
   */
  async #measure(signal: AbortSignal): Promise<number | undefined> {
    const lagMs = await this.#lag.measure(signal);
    if (lagMs === undefined || lagMs <= this.#lag.mostMs || this.#closed !== undefined) return lagMs;
    await this.#clock.sleep(SHORTEST_WAIT_MS, signal);
    return await this.#lag.measure(signal);
  }

  #judge(lagMs: number | undefined, now: number): void {
    const { mostMs, warn } = this.#lag;
    // Between the two limits nothing changes: else a lag near one limit would be logged again and again.
    const isTooMuch = lagMs !== undefined && lagMs > (this.#closed ? mostMs / 2 : mostMs);
    const seconds = Math.round((lagMs ?? 0) / 1000);
    if (!isTooMuch) {
      if (this.#closed) warn("reading goes on");
      this.#closed = undefined;
    } else if (!this.#closed) {
      this.#closed = { since: now, warnedAt: now };
      warn(`the majority of the replica set is ${seconds} s behind its primary: reading waits (--max-lag)`);
    } else if (now - this.#closed.warnedAt >= WARN_EVERY_MS) {
      this.#closed.warnedAt = now;
      const minutes = Math.round((now - this.#closed.since) / 60_000);
      warn(`reading has waited for ${minutes} min: the majority of the replica set is ${seconds} s behind its primary`);
    }
  }
}
