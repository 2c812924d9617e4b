/** A slow reader of a pipe. */

import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const NEWLINE = 10;

/** Reads `path` to its end, at no more than `bytesPerSecond`. */
export async function readSlowly(path: string, bytesPerSecond: number): Promise<{ lines: number; bytes: number }> {
  const began = performance.now();
  let lines = 0;
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 64 * 1024 })) {
    const piece = chunk as Buffer;
    bytes += piece.length;
    for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) lines += 1;
    const early = (bytes / bytesPerSecond) * 1000 - (performance.now() - began);
    if (early > 5) await sleep(early);
  }
  return { lines, bytes };
}
