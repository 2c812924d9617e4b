/**
 * Standard error, without waiting for its reader and without changing it for those who share it: Bun's `process.stderr`
 * makes a pipe non-blocking for every process that has it (docs/decisions/006-hidden-process-stdout.md). So a pipe or a
 * terminal is opened once more, for us alone.
 */

import { constants, fstatSync, openSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { codeOf } from "../lib/fs.ts";

export interface Stderr {
  /**
   * What packages may have in place of `process.stderr`; undefined where it is to be left alone. The class is given, so
   * that who only says a line need not load it.
   */
  replacement(base: typeof Writable): Writable | undefined;
  /** Never throws and never waits. What the reader does not take is kept for a while, and then dropped. */
  write(text: string): void;
  /** Resolves when everything has been taken, or nobody has taken it for half a second. */
  drain(): Promise<void>;
}

const FLAGS = constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
/** About as much as a pipe holds. */
const MOST_KEPT = 1 << 16;
const GRACE_MS = 500;
const PAUSE_MS = 5;

/** To be called before any file is opened: a closed descriptor 2 would soon be somebody else's. `stream` is used for sockets only. */
export function openStderr(stream: () => Writable): Stderr {
  const way = wayOut(2);
  let kept = Buffer.alloc(0);

  function tryToWrite(fd: number): void {
    try {
      while (kept.length > 0) kept = kept.subarray(writeSync(fd, kept));
    } catch (error) {
      const isFull = codeOf(error) === "EAGAIN";
      if (!isFull || kept.length > MOST_KEPT) kept = Buffer.alloc(0); // nobody reads: no reason to end a run
    }
  }

  function take(text: Uint8Array): void {
    if (way === "stream") stream().write(text, () => undefined);
    if (typeof way !== "number") return;
    kept = Buffer.concat([kept, text]);
    tryToWrite(way);
  }

  return {
    replacement: (base) => (way === "stream" ? undefined : writableOf(base, take)),
    write: (text) => take(Buffer.from(text)),
    async drain() {
      const deadline = performance.now() + GRACE_MS;
      while (typeof way === "number" && kept.length > 0 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        tryToWrite(way);
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

function wayOut(fd: number): number | "stream" | "nowhere" {
  try {
    const found = fstatSync(fd);
    if (found.isFile()) return fd;
    if (found.isSocket()) return "stream";
  } catch {
    return "nowhere"; // it is closed
  }
  try {
    return openSync(`/proc/self/fd/${fd}`, FLAGS);
  } catch (error) {
    return codeOf(error) === "ENXIO" ? "nowhere" : "stream"; // its reader is gone; else: not Linux
  }
}
