/**
 * Standard output. At-least-once: bytes are delivered when the kernel has them. No write blocks the event loop, whatever
 * stdout is; docs/decisions/201-writing-to-stdout.md has the reasons for the three ways in which it is written.
 */

import { fstatSync, write, type Stats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { MongotapError } from "../errors.ts";
import { codeOf, isNullDevice } from "../lib/fs.ts";
import { outputError } from "./errors.ts";
import { type Deliver, deliverTo, NONBLOCKING, PipeSink } from "./pipe.ts";
import type { Sink } from "./sink.ts";
import { IS_BUN } from "./write.ts";

export interface StdoutOptions {
  /** The descriptor of standard output: 1. */
  readonly fd: number;
  /** Throw when stdout is closed or /dev/null: with a state file, documents would be lost in silence. */
  readonly refuseNull: boolean;
}

const PAUSE_MS = 5;

/** @throws MongotapError `output` when stdout cannot be used, or `refuseNull` refuses it */
export async function openStdoutSink(options: StdoutOptions): Promise<Sink> {
  if (options.refuseNull && isNull(options.fd)) {
    throw new MongotapError("output", "stdout is closed or /dev/null, and the state file would move on", {
      hint: "Give stdout a reader, use --out, or leave out --state.",
    });
  }
  const { deliver, handle } = await openDelivery(options.fd);
  return new PipeSink("stdout", deliver, handle);
}

async function openDelivery(fd: number): Promise<{ deliver: Deliver; handle?: FileHandle }> {
  const found = statOf(fd);
  // A redirection to a file shares its offset with the shell's other commands, so it is not opened again.
  if (found.isFile()) return { deliver: toDescriptor(fd) };
  if (found.isFIFO() || found.isCharacterDevice()) {
    try {
      const handle = await open(`/proc/self/fd/${fd}`, NONBLOCKING);
      return { deliver: deliverTo(handle), handle };
    } catch (error) {
      if (found.isFIFO() && codeOf(error) === "ENXIO") return { deliver: () => Promise.reject(gone(error)) };
      // not Linux, or not ours to open (after su): the other ways are slower
    }
  }
  return { deliver: IS_BUN ? toDescriptor(fd) : toSocket(fd) };
}

function statOf(fd: number): Stats {
  try {
    return fstatSync(fd);
  } catch (error) {
    throw outputError("use", "stdout", error);
  }
}

function gone(cause: unknown): MongotapError {
  return new MongotapError("pipe", "the reader of stdout is gone", { cause });
}

/** Writes in the runtime's thread pool: a write blocks one of its threads. Deno has none for descriptor 1. */
function toDescriptor(fd: number): Deliver {
  return async (bytes, signal) => {
    for (let done = 0; done < bytes.length;) {
      const begin = done;
      try {
        done += await unlessAborted<number>(signal, (accept, reject) => {
          write(fd, bytes, begin, bytes.length - begin, null, (error, count) =>
            error ? reject(error) : accept(count),
          );
        });
      } catch (error) {
        if (codeOf(error) !== "EAGAIN") throw error;
        await setTimeout(PAUSE_MS); // a program that shares the descriptor has made it non-blocking
      }
    }
  };
}

/** Writes through the runtime's poll for sockets. For Deno: in Bun a `Socket` of a descriptor blocks. */
function toSocket(fd: number): Deliver {
  const stream = new Socket({ fd, readable: false });
  stream.on("error", () => undefined); // the callback has it too; without a listener it would end the process
  return (bytes, signal) =>
    unlessAborted(signal, (accept, reject) => {
      stream.write(bytes, (error) => (error ? reject(error) : accept()));
    });
}

/** As `new Promise(start)`, but rejects when `signal` aborts, although the work goes on. */
async function unlessAborted<T>(
  signal: AbortSignal,
  start: (accept: (value: T) => void, reject: (reason: unknown) => void) => void,
): Promise<T> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    start(resolve, reject);
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function isNull(fd: number): boolean {
  try {
    return isNullDevice(fstatSync(fd));
  } catch {
    return false; // it is closed
  }
}
