/** How many events a reply of a change stream may hold, where a server cannot fill replies within its time limit. */

/** The first limit: half of what a new cursor asks for (stream-cursor.ts). */
const FIRST_LIMIT = 500;
/**
 * How many full replies raise the limit. A server that still cannot fill the larger reply fails once for these 16, and a
 * failure costs about as much as a reply at the limit: a second, and a reopening. So probing costs less than a tenth.
 */
const FULL_REPLIES = 16;

/** Halves the limit when the server runs out of time; doubles it after `FULL_REPLIES` full replies without a failure. */
export class AdaptiveBatchSize {
  #limit: number;
  #full = 0;

  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  /** The most events that the next reply may hold; Infinity: no limit. */
  get limit(): number {
    return this.#limit;
  }

  /** A reply with this many events came in time. A smaller one says nothing about the limit. */
  onReply(events: number): void {
    if (events < this.#limit) return;
    this.#full += 1;
    if (this.#full < FULL_REPLIES) return;
    this.#limit *= 2;
    this.#full = 0;
  }

  /** MaxTimeMSExpired (50): the server could not fill a reply within its time limit. */
  onTooSlow(): void {
    this.#limit = Math.max(1, Math.min(FIRST_LIMIT, Math.floor(this.#limit / 2)));
    this.#full = 0;
  }
}
