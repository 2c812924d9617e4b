/**
 * Output that cannot be truncated: a pipe, a FIFO, a terminal, a device. At-least-once: bytes are delivered when the kernel
 * has them. No write blocks the event loop, so a signal ends the process at once even if the reader has stalled.
 */

import { constants, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate, setTimeout } from "node:timers/promises";
import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { codeOf } from "../lib/fs.ts";
import { EVERYTHING } from "../lib/output-key.ts";
import { outputError } from "./errors.ts";
import type { OutputMark, Segment, Sink } from "./sink.ts";
import { gather, IS_BUN } from "./write.ts";

/** Resolves when the kernel has all of `bytes` and the caller may use them again; rejects when `signal` aborts. */
export type Deliver = (bytes: Uint8Array, signal: AbortSignal) => Promise<void>;

/** The flags with which a pipe, FIFO, terminal or device is opened, so that no write to it blocks. */
export const NONBLOCKING =
  constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/**
 * The most bytes of one write. When a pipe is nearly full, Deno throws EAGAIN without saying how many bytes were written, so
 * there it is PIPE_BUF, which a pipe takes as a whole or not at all: a fourth of the speed, but every byte once.
 */
const MOST_PER_WRITE = IS_BUN ? 1 << 16 : 1 << 12;
/** A full pipe is tried this many times at once, then after 1, 2, 3 … ms: fast readers stay fast, stalled ones are cheap. */
const EAGER_TRIES = 50;
const LONGEST_PAUSE_MS = 20;

/**
 * Opens the FIFO or device at `path`. Waits for the reader of a FIFO.
 * @throws MongotapError `output`, or the reason of `signal` when that aborts the wait
 */
export async function openPipeSink(path: string, isFifo: boolean, signal?: AbortSignal): Promise<Sink> {
  for (;;) {
    try {
      const handle = await open(path, NONBLOCKING);
      return new PipeSink(path, deliverTo(handle), handle);
    } catch (error) {
      const isUnread = isFifo && codeOf(error) === "ENXIO";
      if (!isUnread) throw outputError("open", path, error);
    }
    await (signal === undefined ? setTimeout(LONGEST_PAUSE_MS) : sleep(LONGEST_PAUSE_MS, signal));
  }
}

/** A sink that passes each write to `deliver`, and closes `handle` when it is disposed. */
export class PipeSink implements Sink {
  readonly mayBlock = true;
  readonly #name: string;
  readonly #deliver: Deliver;
  readonly #handle: FileHandle | undefined;
  readonly #closing = new AbortController();
  #pending: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(name: string, deliver: Deliver, handle?: FileHandle) {
    this.#name = name;
    this.#deliver = deliver;
    this.#handle = handle;
  }

  async write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    this.#throwIfFailed();
    this.#pending = this.#writeAll(bytes, segments);
    await this.#pending;
  }

  async written(): Promise<void> {
    this.#throwIfFailed();
  }

  async flush(): Promise<readonly OutputMark[]> {
    this.#throwIfFailed();
    return [];
  }

  async onStateSaved(): Promise<void> {}

  async finalize(): Promise<readonly OutputMark[]> {
    return await this.flush();
  }

  /** Aborts a write that waits for the reader, and closes the handle only when no write can use it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new MongotapError("bug", `${this.#name} was used after it was closed`));
    await this.#pending.catch(() => undefined); // its caller has the error
    await this.#handle?.close();
  }

  async #writeAll(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    try {
      for (const slice of gather(bytes, segments, EVERYTHING)) await this.#deliver(slice.bytes, this.#closing.signal);
    } catch (error) {
      this.#failure = pipeError(this.#name, error);
      throw this.#failure;
    }
  }

  #throwIfFailed(): void {
    this.#closing.signal.throwIfAborted();
    if (this.#failure instanceof Error) throw this.#failure;
  }
}

/** Returns the delivery to what was opened with NONBLOCKING. */
export function deliverTo({ fd }: FileHandle): Deliver {
  return async (bytes, signal) => {
    let tries = 0;
    for (let done = 0; done < bytes.length;) {
      try {
        done += writeSync(fd, bytes, done, Math.min(MOST_PER_WRITE, bytes.length - done));
        tries = 0;
      } catch (error) {
        if (codeOf(error) !== "EAGAIN") throw error;
        tries += 1;
        await (tries <= EAGER_TRIES ? setImmediate() : setTimeout(Math.min(tries - EAGER_TRIES, LONGEST_PAUSE_MS)));
        signal.throwIfAborted();
      }
    }
  };
}

function pipeError(name: string, error: unknown): MongotapError {
  if (codeOf(error) === "EPIPE") return new MongotapError("pipe", `the reader of ${name} is gone`, { cause: error });
  return outputError("write to", name, error);
}
