/**
 * How fast collections are read: not faster than was asked for, and not at all while the replica set cannot keep up with
 * itself. Only chunks wait; a change stream goes on meanwhile (capture.ts).
 */

import { sleep } from "../lib/async.ts";
import type { Chunk } from "../source/record.ts";

export interface ThrottleSettings {
  /** Of BSON, over all that is read at once; undefined: as fast as it goes. */
  readonly bytesPerSecond: number | undefined;
  /** Where reading waits for the majority of a replica set; undefined: never. */
  readonly lag: LagSettings | undefined;
}

export interface LagSettings {
  /** How far the majority is behind the primary, in ms; undefined where that cannot be told. */
  readonly measure: (signal: AbortSignal) => Promise<number | undefined>;
  /** More than so much (ms) is too much; half of it is little enough to go on. */
  readonly mostMs: number;
  readonly warn: (message: string) => void;
}

/** Time as far as a pace knows it. */
export interface Clock {
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface ReadThrottle {
  /** Chunks may be so large that the rate holds. */
  readonly chunkBytes: number;
  /**
   * Every chunk that is waited for has yet to be asked of the server: what a change stream tells by now is older than
   * they will be.
   */
  readonly isBlocked: boolean;
  /** How many chunks have been asked for. */
  readonly requested: number;
  /** Resolves when a chunk of about so many bytes may be asked for; rejects with the signal's reason. */
  acquire(bytes: number, signal: AbortSignal): Promise<Permit>;
  /** The same chunks, each asked for in its turn. */
  throttled(chunks: AsyncIterable<Chunk>, signal: AbortSignal): AsyncGenerator<Chunk>;
}

export interface Permit {
  /** The chunk has come, with so many bytes; none when it did not come. */
  release(bytes: number): void;
}

const LEAST_CHUNK = 64 * 1024;
/** Of a second: what comes at once is small against ten seconds, and a pause is too short for anything to time out. */
const CHUNK_SHARE = 4;
/** What was not used may be made up for so long (ms): timers are late, disks are slow now and then. */
const SLACK_MS = 250;

const ASK_EVERY_MS = 1_000;
const SHORTEST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;
const TELL_EVERY_MS = 60_000;

const SYSTEM_CLOCK: Clock = { now: () => performance.now(), sleep };

/** The most that a chunk may have, so that any ten seconds hold the rate: a quarter of a second's worth. */
export function chunkBytesAt(bytesPerSecond: number): number {
  return Math.max(LEAST_CHUNK, Math.floor(bytesPerSecond / CHUNK_SHARE));
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
      release(came) {
        outstanding -= 1;
        bucket?.correct(came - bytes);
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
          let came = 0;
          try {
            const next = await iterator.next();
            if (next.done === true) return;
            came = next.value.documents.byteLength;
            yield next.value;
            if (next.value.progress.done) return; // what would be waited for is the end
          } finally {
            permit.release(came);
          }
          expected = came;
        }
      } finally {
        await iterator.return?.();
      }
    },
  };
}

/** So many bytes per ms. Who takes some waits until those before it have been paid for. */
class TokenBucket {
  readonly #rate: number;
  readonly #clock: Clock;
  /** When all that has been taken so far is paid for. */
  #paidAt = -Infinity;

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

  /** So many more came than were taken. */
  correct(bytes: number): void {
    this.#paidAt += bytes / this.#rate;
  }
}

/** Shut while the majority is too far behind. */
class LagGate {
  readonly #lag: LagSettings;
  readonly #clock: Clock;
  #askedAt = -Infinity;
  /** Since when it has been shut, and when that was told last; undefined while it is open. */
  #shut: { readonly since: number; toldAt: number } | undefined;

  constructor(lag: LagSettings, clock: Clock) {
    this.#lag = lag;
    this.#clock = clock;
  }

  async pass(signal: AbortSignal): Promise<void> {
    for (let ms = SHORTEST_WAIT_MS; await this.#isShut(signal); ms = Math.min(LONGEST_WAIT_MS, ms * 2)) {
      await this.#clock.sleep(ms, signal);
    }
  }

  async #isShut(signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.now();
    if (now - this.#askedAt >= ASK_EVERY_MS) {
      this.#askedAt = now;
      this.#judge(await this.#lag.measure(signal), now);
    }
    return this.#shut !== undefined;
  }

  #judge(lagMs: number | undefined, now: number): void {
    const { mostMs, warn } = this.#lag;
    // Between the two it stays as it is: else a lag about the limit would be told again and again.
    const isTooMuch = lagMs !== undefined && lagMs > (this.#shut ? mostMs / 2 : mostMs);
    const seconds = Math.round((lagMs ?? 0) / 1000);
    if (!isTooMuch) {
      if (this.#shut) warn("reading goes on");
      this.#shut = undefined;
    } else if (!this.#shut) {
      this.#shut = { since: now, toldAt: now };
      warn(`the majority of the replica set is ${seconds} s behind its primary: reading waits (--max-lag)`);
    } else if (now - this.#shut.toldAt >= TELL_EVERY_MS) {
      this.#shut.toldAt = now;
      const minutes = Math.round((now - this.#shut.since) / 60_000);
      warn(`reading has waited for ${minutes} min: the majority of the replica set is ${seconds} s behind its primary`);
    }
  }
}
