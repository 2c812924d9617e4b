/**
 * Bytes into something that cannot be cut back: a pipe, a FIFO, a terminal, a device. No write ever blocks: when the
 * reader stops reading, the event loop stays free, so that a signal can end the process at once.
 */

import { constants, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate, setTimeout } from "node:timers/promises";
import { MongotapError } from "../errors.ts";
import { codeOf } from "../lib/system-error.ts";
import { outputError } from "./output-errors.ts";
import { gather } from "./segments.ts";
import type { OutputMark, Segment, Sink } from "./sink.ts";

/** Takes all of `bytes` or throws; `bytes` may be used again when it resolves. */
export type Deliver = (bytes: Uint8Array) => Promise<void>;

/** How a pipe, FIFO, terminal or device is opened so that no write to it ever waits. */
export const UNBLOCKED =
  constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

const PIECE = 1 << 20;
/** A full pipe is looked at this often at once, then after 1, 2, 3 … ms: fast readers are fast, stuck ones cost nothing. */
const EAGER_TRIES = 50;
const LONGEST_PAUSE_MS = 20;

/** Opens the FIFO or device at `path`. Waits for the reader of a FIFO, until `signal` aborts (then throws its reason). */
export async function openPipeSink(path: string, isFifo: boolean, signal?: AbortSignal): Promise<Sink> {
  const handle = await openUnblocked(path, isFifo, signal);
  return new PipeSink(path, (bytes) => deliverUnblocked(handle.fd, bytes), handle);
}

/** A sink that hands each write to `deliver`, and closes `handle` at the end. */
export class PipeSink implements Sink {
  readonly #name: string;
  readonly #deliver: Deliver;
  readonly #handle: FileHandle | undefined;
  #failure: MongotapError | undefined;

  constructor(name: string, deliver: Deliver, handle?: FileHandle) {
    this.#name = name;
    this.#deliver = deliver;
    this.#handle = handle;
  }

  async write(bytes: Uint8Array, segments: readonly Segment[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      for (const run of gather(bytes, segments, false)) await this.#deliver(run.bytes);
    } catch (error) {
      this.#failure = pipeError(this.#name, error);
      throw this.#failure;
    }
  }

  async flush(): Promise<readonly OutputMark[]> {
    if (this.#failure !== undefined) throw this.#failure;
    return [];
  }

  async committed(): Promise<void> {}

  async seal(): Promise<readonly OutputMark[]> {
    return await this.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close();
  }
}

/** Writes to `fd`, which must have been opened with O_NONBLOCK, without ever blocking. */
export async function deliverUnblocked(fd: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  let tries = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done, Math.min(PIECE, bytes.length - done));
      tries = 0;
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw error;
      tries += 1;
      if (tries <= EAGER_TRIES) await setImmediate();
      else await setTimeout(Math.min(tries - EAGER_TRIES, LONGEST_PAUSE_MS));
    }
  }
}

async function openUnblocked(path: string, isFifo: boolean, signal: AbortSignal | undefined): Promise<FileHandle> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await open(path, UNBLOCKED);
    } catch (error) {
      const isUnread = isFifo && codeOf(error) === "ENXIO";
      if (!isUnread) throw outputError("open", path, error);
      await setTimeout(LONGEST_PAUSE_MS);
    }
  }
}

function pipeError(name: string, error: unknown): MongotapError {
  if (codeOf(error) === "EPIPE") return new MongotapError("pipe", `the reader of ${name} is gone`, { cause: error });
  return outputError("write to", name, error);
}
