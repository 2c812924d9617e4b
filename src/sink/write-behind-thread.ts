/** The thread of write-behind.ts: writes the slots in the order of their messages, until one fails. */

import { ftruncateSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

import { messageOf, must } from "../errors.ts";
import { codeOf } from "../lib/fs.ts";
import type { FilledSlot, FreedSlot } from "./write-behind.ts";
import { writeSome } from "./write.ts";

const port = must(parentPort, "the main thread");
const slots = (workerData as readonly SharedArrayBuffer[]).map((slot) => new Uint8Array(slot));
/** Nothing is written after a failure: the file would have a gap. */
let hasFailed = false;

port.on("message", (filled: FilledSlot) => {
  const failure = hasFailed ? undefined : write(filled);
  hasFailed ||= failure !== undefined;
  port.postMessage({ slot: filled.slot, failure } satisfies FreedSlot);
});

function write({ fd, begin, path, slot, length }: FilledSlot): FreedSlot["failure"] {
  const bytes = must(slots[slot], "a slot").subarray(0, length);
  try {
    for (let done = 0; done < length;) done += writeSome(fd, bytes, done);
    return undefined;
  } catch (error) {
    truncateTo(fd, begin);
    return { path, code: codeOf(error), message: messageOf(error) };
  }
}

/** Leaves whole lines, if the disk allows it; if not, the next run truncates the file. */
function truncateTo(fd: number, begin: number): void {
  try {
    ftruncateSync(fd, begin);
  } catch {
    // The first error is the one to report.
  }
}
