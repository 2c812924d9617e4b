/**
 * Source → lines → sink → state. The loop that commits, and that opens the source again after an error. (Others retry in a
 * smaller scope: source/snapshot.ts one read, capture.ts after lost history, connect/tunnel.ts the SSH connection.)
 *
 * Invariants:
 * - The state never claims more than the sink holds durably: bytes first, then the position that covers them.
 * - Bytes past the recorded offset never survive a restart (the sink truncates them when it is opened).
 * - A position is opaque to everything but the source that made it.
 * - A batch is committed whole or not at all.
 * - Lines that no position covers are taken back before the source is opened again; where they cannot be, the run ends.
 *
 * `written` is where a reconnect within this run resumes (those bytes are in the sink); `committed` is where a new run
 * resumes (those bytes are durable). After a failed write, flush or save the content of the sink is unknown, so the run
 * ends, and the next one begins from what is committed.
 */

import { MongotapError } from "../errors.ts";
import { eventLoopTurn, prefetch, settledWithin, sleep } from "../lib/async.ts";
import type { Encoder } from "../protocol/protocol.ts";
import type { OutputMark, Sink } from "../sink/sink.ts";
import type { Batch, Position } from "../source/record.ts";
import { backoffMs, shouldCommit } from "./commit-and-retry.ts";
import type { LimitedSource } from "./limit.ts";

export interface PumpSettings {
  readonly source: LimitedSource;
  readonly from: Position | undefined;
  readonly encoder: Encoder;
  readonly sink: Sink;
  /** Saves position and marks; absent where the run keeps no state. */
  readonly save: ((position: Position, marks: readonly OutputMark[]) => Promise<void>) | undefined;
  /** How long (ms) lines may wait for a commit; default: one second. */
  readonly commitMs?: number;
  /** How long (ms) the source may fail without a reply in between. */
  readonly retryForMs: number;
  readonly signal: AbortSignal;
  readonly onWritten: (batch: Batch, lines: number, bytes: number) => void;
  /** Returns a function that sets what the run has counted back to what it has counted now. */
  readonly savepoint: () => () => void;
  readonly onRetry: (error: MongotapError, waitMs: number) => void;
  /** Milliseconds that only go forward. */
  readonly clock?: () => number;
  readonly random?: () => number;
}

export interface PumpResult {
  /**
   * `finished`: the source came to its end. `limited`: the limit was reached. `stopped`: the signal was aborted, and the
   * sink has all lines. `cut`: the signal was aborted, and the reader took no more.
   */
  readonly outcome: "finished" | "limited" | "stopped" | "cut";
  readonly position: Position | undefined;
}

/** How long a pipe without a reader may delay a stop. */
const DRAIN_MS = 500;
/** Batches that are requested before the one before is written. */
const READ_AHEAD = 1;

/** @throws MongotapError when the run cannot go on; what was written before is committed, except after sink errors. */
export function pump(settings: PumpSettings): Promise<PumpResult> {
  return new Pump(settings).run();
}

/** What has been written behind the last place to go on from. */
interface Uncovered {
  /** Sets the counts of the run back to those at that place. */
  readonly restore: () => void;
  documents: number;
  bytes: number;
}

class Pump {
  readonly #s: PumpSettings;
  readonly #clock: () => number;
  #written: Position | undefined;
  /** Set while no position covers the last lines (a view that is half read). */
  #uncovered: Uncovered | undefined;
  /** The most documents that an earlier attempt to read behind `written` has reached before it was rolled back. */
  #reached = 0;
  #sinkUsable = true;
  /** The last batch had no lines. */
  #isQuiet = false;
  #pendingBytes = 0;
  #moved = false;
  #commits = 0;
  #lastCommit: number;
  /** When the current series of failures began; undefined while replies come. */
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
        return { outcome: this.#s.source.isReached ? "limited" : "finished", position: this.#written };
      } catch (error) {
        if (this.#s.signal.aborted && error === this.#s.signal.reason) return await this.#stop();
        if (this.#sinkUsable) await this.#commitAll();
        await this.#waitOrGiveUp(error);
      }
    }
  }

  async #readToEnd(): Promise<void> {
    const { source, signal } = this.#s;
    const failed = new AbortController(); // the source may be waiting (throttle.ts) when a write fails
    const ended = AbortSignal.any([signal, failed.signal]);
    let replies = 0;
    for await (const batch of prefetch(source.open(this.#written, ended), READ_AHEAD, eventLoopTurn)) {
      this.#opened = true;
      replies += 1;
      if ((replies > 1 || batch.documents.count > 0) && this.#isNew(batch)) this.#noteProgress();
      try {
        await this.#write(batch);
        if (this.#isTimeToCommit()) await this.#commit();
        signal.throwIfAborted();
      } catch (error) {
        failed.abort();
        throw error;
      }
    }
  }

  /** Whether no earlier attempt has come so far. Else a view that fails halfway, each time, would be read for ever. */
  #isNew({ position, documents }: Batch): boolean {
    return position !== undefined || (this.#uncovered?.documents ?? 0) + documents.count > this.#reached;
  }

  /** Opening is no progress: retries of a stream that opens and then fails, each time, must come to an end. */
  #noteProgress(): void {
    this.#failingSince = undefined;
    this.#attempt = 0;
  }

  async #write(batch: Batch): Promise<void> {
    const { documents } = batch;
    if (batch.position === undefined && this.#uncovered === undefined) await this.#leavePosition();
    const { bytes, segments, lines } = this.#s.encoder.encode(batch);
    // What a worker has encoded is itself what the sink writes.
    const isOutput = documents.kind === "encoded";
    if (!isOutput) documents.release();
    if (bytes.length > 0) await this.#untilTaken((sink) => sink.write(bytes, segments));
    else if (this.#isQuiet) await this.#settle(); // without writes, failures in the background show up here only
    this.#isQuiet = bytes.length === 0;
    this.#moved = true;
    this.#pendingBytes += bytes.length;
    if (batch.position !== undefined) {
      this.#written = batch.position;
      this.#uncovered = undefined;
      this.#reached = 0;
    } else if (this.#uncovered !== undefined) {
      this.#uncovered.documents += documents.count;
      this.#uncovered.bytes += bytes.length;
    }
    this.#s.onWritten(batch, lines, bytes.length);
    if (isOutput) documents.release();
  }

  /** Before the first lines that no position covers: what is before them is committed, and they can be taken back. */
  async #leavePosition(): Promise<void> {
    const { sink, save, savepoint } = this.#s;
    if (save) await this.#commit();
    else if (this.#moved && sink.rollBack) await this.#useSink(() => sink.flush());
    this.#moved = false;
    this.#uncovered = { restore: savepoint(), documents: 0, bytes: 0 };
  }

  /** Takes back the lines that no position covers. */
  async #rollBack(rollBack: () => Promise<void>): Promise<void> {
    if (this.#uncovered === undefined) return;
    const { restore, documents, bytes } = this.#uncovered;
    await this.#useSink(rollBack);
    restore();
    this.#s.source.release(documents);
    this.#pendingBytes -= bytes;
    this.#moved = false;
    this.#reached = Math.max(this.#reached, documents);
    this.#uncovered = undefined;
  }

  #isTimeToCommit(): boolean {
    return (
      this.#uncovered === undefined &&
      shouldCommit({
        bytes: this.#pendingBytes,
        moved: this.#moved,
        first: this.#commits === 0,
        msSinceCommit: this.#clock() - this.#lastCommit,
        commitMs: this.#s.commitMs,
      })
    );
  }

  /** At an end, or before a pause. The sink has all bytes then, even where nothing is committed. */
  async #commitAll(): Promise<void> {
    await this.#settle();
    await this.#commit();
  }

  /** Bytes durable first, then the position that covers them. */
  async #commit(): Promise<void> {
    const { sink, save } = this.#s;
    if (!save || !this.#moved || this.#uncovered !== undefined || !this.#written) return;
    const position = this.#written;
    await this.#useSink(async () => save(position, await sink.flush()));
    this.#commits += 1;
    this.#moved = false;
    this.#pendingBytes = 0;
    this.#lastCommit = this.#clock();
  }

  /** Resolves when the system has all bytes. Throws what failed in the background, before errors that it causes. */
  #settle(): Promise<void> {
    return this.#untilTaken((sink) => sink.written());
  }

  /** Waits for a disk; for a reader, no longer than `DRAIN_MS` once the signal is aborted. */
  #untilTaken(work: (sink: Sink) => Promise<void>): Promise<void> {
    const { sink, signal } = this.#s;
    return this.#useSink(() => (sink.mayBlock ? settledWithin(work(sink), signal, DRAIN_MS) : work(sink)));
  }

  /** After a failure of `work` the sink is not used again. */
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

  /** Resolves when the source may be opened again; throws `error` where it may not. */
  async #waitOrGiveUp(error: unknown): Promise<void> {
    if (!(error instanceof MongotapError) || !error.retryable || !this.#sinkUsable) throw error;
    // A first opening that fails is taken for a wrong setting, unless the server asked for a later attempt.
    const isTolerable = this.#opened || error.retryAfterMs > 0;
    const { rollBack } = this.#s.sink;
    if (!isTolerable || (this.#uncovered !== undefined && rollBack === undefined)) throw error;
    const now = this.#clock();
    this.#failingSince ??= now;
    if (now - this.#failingSince >= this.#s.retryForMs) throw error;
    this.#attempt += 1;
    const waitMs = Math.max(error.retryAfterMs, backoffMs(this.#attempt, (this.#s.random ?? Math.random)()));
    this.#s.onRetry(error, waitMs);
    if (rollBack !== undefined) await this.#rollBack(rollBack);
    try {
      await sleep(waitMs, this.#s.signal);
    } catch (reason) {
      if (reason !== this.#s.signal.reason) throw reason;
    }
  }
}
