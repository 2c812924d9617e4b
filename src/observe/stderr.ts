/**
 * Standard error that never blocks the run. Bun's `process.stderr` makes a pipe non-blocking for every process that shares
 * it (docs/decisions/006-hidden-process-stdout.md), so a pipe or terminal is opened anew: the flag is then its own.
 */

import { constants, fstatSync, openSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { codeOf } from "../lib/fs.ts";

export interface Stderr {
  /**
   * A stream for packages that write to `process.stderr`; undefined if they may use the original. `base` is the class
   * Writable: a parameter, so that this file need not load node:stream.
   */
  replacement(base: typeof Writable): Writable | undefined;
  /** Never throws and never waits for a reader. Keeps up to MAX_PENDING_BYTES that are not read, then drops them. */
  write(text: string): void;
  /** Resolves when all is written, after DRAIN_MS at the latest. */
  drain(): Promise<void>;
}

const OPEN_FLAGS = constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
/** The capacity of a pipe. */
const MAX_PENDING_BYTES = 1 << 16;
const DRAIN_MS = 500;
const RETRY_MS = 5;

/**
 * Opens descriptor 2. Call this before any file is opened: a closed descriptor 2 would be reused for that file. `stream`
 * returns `process.stderr`, for sockets and where /proc is missing; it is called once.
 */
export function openStderr(stream: () => Writable): Stderr {
  const target = openTarget(2);
  let pending = Buffer.alloc(0);
  let opened: Writable | undefined;

  function tryToWrite(fd: number): void {
    try {
      while (pending.length > 0) pending = pending.subarray(writeSync(fd, pending));
    } catch (error) {
      const isFull = codeOf(error) === "EAGAIN";
      if (!isFull || pending.length > MAX_PENDING_BYTES) pending = Buffer.alloc(0); // no reader: not a reason to end the run
    }
  }

  function take(text: Uint8Array): void {
    if (target === "stream") (opened ??= stream()).write(text, () => undefined);
    if (typeof target !== "number") return;
    pending = Buffer.concat([pending, text]);
    tryToWrite(target);
  }

  return {
    replacement: (base) => (target === "stream" ? undefined : writableOf(base, take)),
    write: (text) => take(Buffer.from(text)),
    async drain() {
      const deadline = performance.now() + DRAIN_MS;
      while (typeof target === "number" && pending.length > 0 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        tryToWrite(target);
      }
    },
  };
}

function writableOf(base: typeof Writable, take: (bytes: Uint8Array) => void): Writable {
  return new base({
    write(chunk: Buffer, _encoding, done) {
      take(chunk);
      done();
    },
  });
}

function openTarget(fd: number): number | "stream" | "closed" {
  try {
    const found = fstatSync(fd);
    if (found.isFile()) return fd;
    if (found.isSocket()) return "stream";
  } catch {
    return "closed";
  }
  try {
    return openSync(`/proc/self/fd/${fd}`, OPEN_FLAGS);
  } catch (error) {
    return codeOf(error) === "ENXIO" ? "closed" : "stream"; // ENXIO: no reader; other errors: no /proc
  }
}
