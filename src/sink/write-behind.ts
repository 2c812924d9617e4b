/**
 * Appends to files in a thread of its own, so that the next lines are read and encoded meanwhile. The bytes are copied into
 * memory that both threads see, a fixed number of slots, which are used again: a disk that cannot keep up holds up the
 * next append, not the signals and sockets of this thread (docs/decisions/211-writer-thread.md).
 */

import { Worker } from "node:worker_threads";

import { MongotapError, must } from "../errors.ts";
import { whenGone } from "../lib/process.ts";
import { outputError } from "./output-errors.ts";
import { IS_BUN } from "./runtime.ts";

/** Where whole lines are appended to; the file is cut back to `begin` bytes if that fails. */
export interface Place {
  readonly fd: number;
  readonly path: string;
  readonly begin: number;
}

/** To the thread: so many bytes in a slot. */
export interface FilledSlot extends Place {
  readonly slot: number;
  readonly length: number;
}

/** From the thread: the slot is free again. After a failure nothing is written any more. */
export interface FreedSlot {
  readonly slot: number;
  readonly failure: { readonly path: string; readonly code: string; readonly message: string } | undefined;
}

export interface WriteBehindOptions {
  /** What is shorter is written sooner than a thread hears of it. */
  readonly leastBytes: number;
  /** The thread is started behind so many bytes: a small export ends before it would run. */
  readonly startsBehind: number;
}

/** Most often a chunk is larger, and what a change stream sends is smaller. */
const WORTH_IT: WriteBehindOptions = { leastBytes: 256 * 1024, startsBehind: 8_000_000 };

/** Together they hold what a chunk of 4 MB becomes as JSON. */
const SLOTS = 8;
const SLOT_BYTES = 1 << 20;

/** Undefined where file descriptors belong to one thread, as in Deno. */
export function createWriteBehind(options: WriteBehindOptions = WORTH_IT): WriteBehind | undefined {
  return IS_BUN ? new WriteBehind(options) : undefined;
}

/** Descriptors have to stay open until `settled` says so. Starts its thread when it is needed. */
export class WriteBehind implements AsyncDisposable {
  readonly #options: WriteBehindOptions;
  #untilStart: number;
  readonly #slots: Uint8Array<SharedArrayBuffer>[] = [];
  readonly #free: number[] = [];
  #worker: Worker | undefined;
  #failure: Error | undefined;
  #answered = Promise.withResolvers<void>();

  constructor(options: WriteBehindOptions) {
    this.#options = options;
    this.#untilStart = options.startsBehind;
  }

  /** Nothing is left to be written. */
  get isIdle(): boolean {
    return this.#free.length === this.#slots.length;
  }

  /**
   * Whether the next append has to be done here, or is worth it; if not, the caller may do it by itself: nothing is under
   * way then, and nothing is missing.
   */
  wants({ length }: Uint8Array): boolean {
    if (!this.isIdle || this.#failure !== undefined) return true;
    if (length < this.#options.leastBytes) return false;
    this.#untilStart -= length;
    return this.#untilStart < 0;
  }

  /**
   * Appends whole lines, in the order of the calls, of which there may be one at a time. Resolves when `bytes` may be
   * used again.
   * @throws MongotapError `output` when an append failed, this or an earlier one: its file ends where it ended before
   *   that one; `bug` when the thread is gone, and then a file may end within a line
   */
  async append(place: Place, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#failure !== undefined) throw this.#failure;
      const worker = (this.#worker ??= this.#start());
      const slot = this.#free.pop();
      if (slot === undefined) {
        await this.#answered.promise;
        continue;
      }
      const piece = bytes.subarray(done, done + SLOT_BYTES);
      must(this.#slots[slot], "a slot").set(piece);
      worker.postMessage({ ...place, slot, length: piece.length } satisfies FilledSlot);
      done += piece.length;
    }
  }

  /** Resolves when everything has been written. @throws MongotapError as `append` does */
  async settled(): Promise<void> {
    while (!this.isIdle && this.#failure === undefined) await this.#answered.promise;
    if (this.#failure !== undefined) throw this.#failure;
  }

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
    this.#answered.resolve();
    this.#answered = Promise.withResolvers();
  }
}

function errorOf({ path, code, message }: NonNullable<FreedSlot["failure"]>): MongotapError {
  return outputError("write to", path, Object.assign(new Error(message), { code }));
}
