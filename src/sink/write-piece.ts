/** The system call with which files are written. */

import { writeSync } from "node:fs";

/**
 * What is written at a time, by the thread that calls: that takes a third of the processor time that the runtime's thread
 * pool takes for the same bytes, in pieces of any size, and larger ones make the system look for larger pages
 * (docs/decisions/211-writer-thread.md).
 */
const PIECE = 128 * 1024;

/** Appends what of `bytes` begins at `begin`, or the first part of it, and returns how much. @throws as `writeSync` does */
export function writePiece(fd: number, bytes: Uint8Array, begin: number): number {
  const written = writeSync(fd, bytes, begin, Math.min(PIECE, bytes.length - begin));
  if (written === 0) throw new Error("the system took no bytes and gave no reason");
  return written;
}
