/**
 * Source → lines → sink → state. The only loop that commits, and the only place that retries.
 *
 * Invariants:
 * - The state never claims more than the sink holds durably: bytes first, then the position that covers them.
 * - Bytes past the recorded offset never survive a restart (the sink cuts them when it is opened).
 * - A position is opaque to everything but the source that made it.
 * - A batch is committed whole or not at all.
 *
 * `written` is where a reconnect within this run goes on (those bytes are in the sink); `committed` is where a new
 * run goes on (those bytes are durable). Only the source is retried: after a failed write, flush or save nobody knows
 * what the sink holds, so the run ends and the next one begins from what is committed.
 */

import { MongotapError } from "../errors.ts";
import { prefetch, settledWithin, sleep } from "../lib/async.ts";
import type { Encoder } from "../protocol/protocol.ts";
import type { OutputMark, Sink } from "../sink/sink.ts";
import type { Batch, Position, Source } from "../source/record.ts";
import { backoffMs, shouldCommit } from "./retry.ts";

export interface PumpSettings {
  readonly source: Source;
  readonly from: Position | undefined;
  readonly encoder: Encoder;
  readonly sink: Sink;
  /** Saves position and marks; absent where the run keeps no state. */
  readonly save: ((position: Position, marks: readonly OutputMark[]) => Promise<void>) | undefined;
  readonly limit: number;
  /** How long the source may fail without a single reply in between. */
  readonly retryForMs: number;
  readonly signal: AbortSignal;
  readonly onWritten: (batch: Batch, lines: number, bytes: number) => void;
  readonly onRetry: (error: MongotapError, waitMs: number) => void;
  /** Milliseconds that only go forward. */
  readonly clock?: () => number;
  readonly random?: () => number;
}

export interface PumpResult {
  /**
   * `finished`: the source came to its end. `limited`: `limit` documents came first. `stopped`: the signal; all lines
   * are out. `cut`: the reader took no more.
   */
  readonly outcome: "finished" | "limited" | "stopped" | "cut";
  readonly position: Position | undefined;
}

/** A pipe that nobody reads holds up a stop for no longer than this. */
const DRAIN_MS = 500;
const READ_AHEAD = 1;

/** @throws MongotapError when the run cannot go on; what was written before is committed, except after sink errors. */
export function pump(settings: PumpSettings): Promise<PumpResult> {
  return new Pump(settings).run();
}

class Pump {
  readonly #s: PumpSettings;
  readonly #clock: () => number;
  #written: Position | undefined;
  /** False while lines are out that no position covers (a view half read). */
  #resumable = true;
  #sinkUsable = true;
  /** The last batch had nothing to write. */
  #isQuiet = false;
  #lines = 0;
  #pendingBytes = 0;
  #moved = false;
  #commits = 0;
  #lastCommit: number;
  /** When the present series of failures began; undefined while replies come. */
  #failingSince: number | undefined;
  #attempt = 0;
  #opened = false;

  constructor(settings: PumpSettings) {
    this.#s = settings;
    this.#clock = settings.clock ?? (() => performance.now());
    this.#written = settings.from;
    this.#lastCommit = this.#clock();
  }

  async run(): Promise<PumpResult> {
    for (;;) {
      try {
        await this.#readToEnd();
        await this.#commitAll();
        const outcome = this.#lines >= this.#s.limit ? "limited" : "finished";
        return { outcome, position: this.#written };
      } catch (error) {
        if (this.#s.signal.aborted && error === this.#s.signal.reason) return await this.#stop();
        if (this.#sinkUsable) await this.#commitAll();
        await this.#waitOrGiveUp(error);
      }
    }
  }

  async #readToEnd(): Promise<void> {
    const { source, signal, limit } = this.#s;
    // Behind the last batch that is wanted nothing is waited for: the source may wait itself, and for long (pace.ts).
    const enough = new AbortController();
    const ended = AbortSignal.any([signal, enough.signal]);
    let replies = 0;
    for await (const batch of prefetch(source(this.#written, ended, limit - this.#lines), READ_AHEAD)) {
      this.#opened = true;
      replies += 1;
      if (replies > 1 || batch.documents.count > 0) this.#noteProgress();
      try {
        await this.#write(batch);
        if (this.#isTimeToCommit()) await this.#commit();
        signal.throwIfAborted();
      } catch (error) {
        enough.abort();
        throw error;
      }
      if (this.#lines >= limit) {
        enough.abort();
        return;
      }
    }
  }

  /** Opening alone is no progress: a stream that opens and then fails, again and again, must come to an end. */
  #noteProgress(): void {
    this.#failingSince = undefined;
    this.#attempt = 0;
  }

  async #write(batch: Batch): Promise<void> {
    const { documents } = batch;
    const { bytes, segments, lines } = this.#s.encoder.encode(batch);
    // What a worker has encoded is itself what the sink writes.
    const isOutput = documents.kind === "encoded";
    if (!isOutput) documents.release();
    if (bytes.length > 0) await this.#untilTaken((sink) => sink.write(bytes, segments));
    else if (this.#isQuiet) await this.#settle(); // else what fails in the background is not heard of for long
    if (isOutput) documents.release();
    this.#isQuiet = bytes.length === 0;
    this.#resumable = batch.position !== undefined;
    this.#moved = true;
    this.#written = batch.position ?? this.#written;
    this.#lines += documents.count;
    this.#pendingBytes += bytes.length;
    this.#s.onWritten(batch, lines, bytes.length);
  }

  #isTimeToCommit(): boolean {
    return (
      this.#resumable &&
      shouldCommit({
        bytes: this.#pendingBytes,
        moved: this.#moved,
        first: this.#commits === 0,
        msSinceCommit: this.#clock() - this.#lastCommit,
      })
    );
  }

  /** At an end, or before a pause: also where nothing is committed, all has been taken. */
  async #commitAll(): Promise<void> {
    await this.#settle();
    await this.#commit();
  }

  /** Bytes durable first, then the position that covers them. */
  async #commit(): Promise<void> {
    const { sink, save } = this.#s;
    if (!save || !this.#moved || !this.#resumable || !this.#written) return;
    const position = this.#written;
    await this.#useSink(async () => save(position, await sink.flush()));
    this.#commits += 1;
    this.#moved = false;
    this.#pendingBytes = 0;
    this.#lastCommit = this.#clock();
  }

  /** Resolves when the system has all bytes: what fails in the background is told before anything that comes of it. */
  #settle(): Promise<void> {
    return this.#untilTaken((sink) => sink.written());
  }

  /** A disk is waited for, a reader not for long when the run is to end. */
  #untilTaken(work: (sink: Sink) => Promise<void>): Promise<void> {
    const { sink, signal } = this.#s;
    return this.#useSink(() => (sink.mayBlock ? settledWithin(work(sink), signal, DRAIN_MS) : work(sink)));
  }

  /** After a failure in here the sink is not touched again. */
  async #useSink<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#sinkUsable = false;
      throw error;
    }
  }

  async #stop(): Promise<PumpResult> {
    if (!this.#sinkUsable) return { outcome: "cut", position: this.#written };
    await this.#commitAll();
    return { outcome: "stopped", position: this.#written };
  }

  /** Returns when the source may be tried again; throws when it may not. */
  async #waitOrGiveUp(error: unknown): Promise<void> {
    if (!(error instanceof MongotapError) || !error.retryable || !this.#sinkUsable) throw error;
    // A server that asks for patience is no reason to look for a mistake in the settings at once.
    const isTolerable = this.#opened || error.retryAfterMs > 0;
    if (!isTolerable || !this.#resumable) throw error;
    const now = this.#clock();
    this.#failingSince ??= now;
    if (now - this.#failingSince >= this.#s.retryForMs) throw error;
    this.#attempt += 1;
    const waitMs = Math.max(error.retryAfterMs, backoffMs(this.#attempt, (this.#s.random ?? Math.random)()));
    this.#s.onRetry(error, waitMs);
    try {
      await sleep(waitMs, this.#s.signal);
    } catch (reason) {
      if (reason !== this.#s.signal.reason) throw reason;
    }
  }
}
