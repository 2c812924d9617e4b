/**
 * Bytes into something that cannot be cut back: a pipe, a FIFO, a terminal, a device. No write ever blocks: when the
 * reader stops reading, the event loop stays free, so that a signal can end the process at once.
 */

import { constants, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate, setTimeout } from "node:timers/promises";
import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { codeOf } from "../lib/fs.ts";
import { outputError } from "./output-errors.ts";
import { IS_BUN } from "./runtime.ts";
import { gather } from "./segments.ts";
import type { OutputMark, Segment, Sink } from "./sink.ts";

/** Resolves when all of `bytes` has been taken and may be used again; stops with an error when `signal` aborts. */
export type Deliver = (bytes: Uint8Array, signal: AbortSignal) => Promise<void>;

/** How a pipe, FIFO, terminal or device is opened so that no write to it ever waits. */
export const UNBLOCKED =
  constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/**
 * What is written at a time. Deno forgets how much of a write a nearly full pipe has taken before it says EAGAIN, so
 * there it is what a pipe takes as a whole or not at all (PIPE_BUF): a fourth of the speed, but every byte once.
 */
const PIECE = IS_BUN ? 1 << 16 : 1 << 12;
/** A full pipe is tried again this often at once, then after 1, 2, 3 … ms: fast readers stay fast, stuck ones are cheap. */
const EAGER_TRIES = 50;
const LONGEST_PAUSE_MS = 20;

/** Opens the FIFO or device at `path`. Waits for the reader of a FIFO, until `signal` aborts (then throws its reason). */
export async function openPipeSink(path: string, isFifo: boolean, signal?: AbortSignal): Promise<Sink> {
  for (;;) {
    try {
      const handle = await open(path, UNBLOCKED);
      return new PipeSink(path, unblocked(handle), handle);
    } catch (error) {
      const isUnread = isFifo && codeOf(error) === "ENXIO";
      if (!isUnread) throw outputError("open", path, error);
    }
    await (signal === undefined ? setTimeout(LONGEST_PAUSE_MS) : sleep(LONGEST_PAUSE_MS, signal));
  }
}

/** A sink that hands each write to `deliver`, and closes `handle` at the end. */
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

  /** Gives up a write that nobody takes. Closes only when no write can use the descriptor any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new MongotapError("bug", `${this.#name} was used after it was closed`));
    await this.#pending.catch(() => undefined); // told to its caller
    await this.#handle?.close();
  }

  async #writeAll(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    try {
      for (const run of gather(bytes, segments, false)) await this.#deliver(run.bytes, this.#closing.signal);
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

/** Writes to what was opened with `UNBLOCKED`. */
export function unblocked({ fd }: FileHandle): Deliver {
  return async (bytes, signal) => {
    let tries = 0;
    for (let done = 0; done < bytes.length;) {
      try {
        done += writeSync(fd, bytes, done, Math.min(PIECE, bytes.length - done));
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
