/** How many events a reply of a change stream may hold, where a server cannot fill replies within its time limit. */

/** The first limit: half of what a new cursor asks for (stream-cursor.ts). */
const FIRST_LIMIT = 500;
/**
 * How many full replies raise the limit. If the server cannot fill the larger reply either, the stream is opened again,
 * which costs a tail about as much as one reply, and a capture the chunks that it has read ahead.
 */
const FULL_REPLIES = 16;
/** The most full replies that a raise waits for, after many raises that failed. */
const MAX_FULL_REPLIES = 1_024;

/**
 * Lowers the limit when the server runs out of time: to `FIRST_LIMIT`, then by half. Doubles it after `FULL_REPLIES` full
 * replies in time; after each raise that failed, twice as many are needed, so that a slow server is probed ever less often.
 */
export class AdaptiveBatchSize {
  #limit: number;
  #full = 0;
  #needed = FULL_REPLIES;
  /** The limit has been raised, and the larger one has not proved itself yet. */
  #isProbing = false;

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
    if (this.#full < this.#needed) return;
    if (this.#isProbing) this.#needed = FULL_REPLIES; // the raise before this one has held
    this.#limit *= 2;
    this.#full = 0;
    this.#isProbing = true;
  }

  /** MaxTimeMSExpired (50): the server could not fill a reply within its time limit. */
  onTooSlow(): void {
    if (this.#isProbing) this.#needed = Math.min(MAX_FULL_REPLIES, this.#needed * 2);
    this.#limit = Math.max(1, Math.min(FIRST_LIMIT, Math.floor(this.#limit / 2)));
    this.#full = 0;
    this.#isProbing = false;
  }
}
