/**
 * Appends to files in another thread, while this one reads and encodes the next lines. The bytes are copied into slots of
 * memory that both threads share. Their number is fixed: when the disk is slow, `append` waits for a free slot, and the
 * signals and sockets of this thread do not wait (docs/decisions/211-writer-thread.md).
 */

import { Worker } from "node:worker_threads";

import { MongotapError, must } from "../errors.ts";
import { whenGone } from "../lib/process.ts";
import { outputError } from "./errors.ts";
import { IS_BUN } from "./write.ts";

/** The end of a file, before whole lines are appended to it. */
export interface FileEnd {
  readonly fd: number;
  readonly path: string;
  /** The length of the file; it is truncated to this if the append fails. */
  readonly begin: number;
}

/** To the thread: append the first `length` bytes of a slot. */
export interface FilledSlot extends FileEnd {
  readonly slot: number;
  readonly length: number;
}

/** From the thread: the slot is free again. After a failure, later slots are freed without being written. */
export interface FreedSlot {
  readonly slot: number;
  readonly failure: { readonly path: string; readonly code: string; readonly message: string } | undefined;
}

export interface WriteBehindThresholds {
  /** A shorter append takes less time than the message to the thread. */
  readonly minBytes: number;
  /** The thread starts after this many bytes, in appends of `minBytes` or more: a small export ends before it would run. */
  readonly startAfterBytes: number;
}

/** The lines of a chunk are usually longer than this, those of one reply of a change stream shorter. */
const DEFAULT_THRESHOLDS: WriteBehindThresholds = { minBytes: 256 * 1024, startAfterBytes: 8_000_000 };

/** Together they have room for the JSON of a chunk of 4 MB. */
const SLOTS = 8;
const SLOT_BYTES = 1 << 20;

/** Returns undefined where a file descriptor belongs to one thread, as in Deno. */
export function createWriteBehind(thresholds = DEFAULT_THRESHOLDS): WriteBehind | undefined {
  return IS_BUN ? new WriteBehind(thresholds) : undefined;
}

/**
 * One thread for all files of a run. For each append, call `takes`, then either `append` or write to the file yourself. Keep
 * the descriptor open until `written` resolves.
 */
export class WriteBehind implements AsyncDisposable {
  readonly #thresholds: WriteBehindThresholds;
  #untilStart: number;
  readonly #slots: Uint8Array<SharedArrayBuffer>[] = [];
  readonly #free: number[] = [];
  #worker: Worker | undefined;
  #failure: Error | undefined;
  #freed = Promise.withResolvers<void>();

  constructor(thresholds: WriteBehindThresholds) {
    this.#thresholds = thresholds;
    this.#untilStart = thresholds.startAfterBytes;
  }

  /** No bytes are on their way to a file. */
  get isIdle(): boolean {
    return this.#free.length === this.#slots.length;
  }

  /**
   * Returns whether the next append, of `length` bytes, belongs to the thread. If true, call `append`: earlier bytes are still
   * on their way and must come first, or an append has failed and `append` throws its error, or it is long enough to be
   * worth it. If false, all earlier bytes are in their files and nothing has failed: write to the file yourself. Counts
   * `length` towards the start of the thread, so call it once for each append.
   */
  takes(length: number): boolean {
    if (!this.isIdle || this.#failure !== undefined) return true;
    if (length < this.#thresholds.minBytes) return false;
    this.#untilStart -= length;
    return this.#untilStart < 0;
  }

  /**
   * Appends whole lines at `end`, in the order of the calls; one call at a time. Resolves when they are copied and the caller
   * may use `bytes` again.
   * @throws MongotapError `output` when this append or an earlier one has failed: its file was truncated to its end before
   *   that append; `bug` when the thread is gone, in which case a file may end within a line
   */
  async append(end: FileEnd, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#failure !== undefined) throw this.#failure;
      const worker = (this.#worker ??= this.#start());
      const slot = this.#free.pop();
      if (slot === undefined) {
        await this.#freed.promise;
        continue;
      }
      const filled = bytes.subarray(done, done + SLOT_BYTES);
      must(this.#slots[slot], "a slot").set(filled);
      worker.postMessage({ ...end, slot, length: filled.length } satisfies FilledSlot);
      done += filled.length;
    }
  }

  /** Resolves when the operating system has all appended bytes. @throws MongotapError as `append` does */
  async written(): Promise<void> {
    while (!this.isIdle && this.#failure === undefined) await this.#freed.promise;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends the thread, also within an append: call `written` first. */
  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#failure ??= new MongotapError("bug", "a writer was used after it was closed");
    worker?.removeAllListeners();
    void worker?.terminate();
  }

  #start(): Worker {
    const memory = Array.from({ length: SLOTS }, () => new SharedArrayBuffer(SLOT_BYTES));
    const worker = new Worker(new URL("./write-behind-thread.ts", import.meta.url), { workerData: memory });
    for (const [slot, buffer] of memory.entries()) {
      this.#slots.push(new Uint8Array(buffer));
      this.#free.push(slot);
    }
    worker.on("message", ({ slot, failure }: FreedSlot) => {
      this.#free.push(slot);
      if (failure !== undefined) this.#failure ??= errorOf(failure);
      this.#notify();
    });
    whenGone(worker, (reason) => {
      this.#failure ??= new MongotapError("bug", `the thread that writes failed: ${reason}`);
      this.#notify();
    });
    return worker;
  }

  #notify(): void {
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
  }
}

function errorOf({ path, code, message }: NonNullable<FreedSlot["failure"]>): MongotapError {
  return outputError("write to", path, Object.assign(new Error(message), { code }));
}
