/** What sinks have in common when they write: the slices of a batch, the system call, and what runtimes do differently. */

import { writeSync } from "node:fs";

import { must } from "../errors.ts";
import { idOf, type OutputKey } from "../lib/output-key.ts";
import type { Segment } from "./sink.ts";

const agent: string | undefined = globalThis.navigator?.userAgent;

/**
 * Bun, interpreted or compiled. Everything else is treated as Deno, which needs more care with pipes and descriptors
 * (docs/decisions/201-writing-to-stdout.md).
 */
export const IS_BUN = agent?.startsWith("Bun/") === true;

/**
 * The most bytes of one system call. A `writeSync` of this size takes a third of the processor time that the runtime's
 * thread pool takes for the same bytes; larger ones make the kernel look for larger pages (docs/decisions/211-writer-thread.md).
 */
const MOST_PER_CALL = 128 * 1024;

/**
 * Appends bytes from `begin` on, at most MOST_PER_CALL of them, and returns how many. Blocks the thread.
 * @throws as `writeSync` does, and when the system takes no bytes without an error
 */
export function writeSome(fd: number, bytes: Uint8Array, begin: number): number {
  const written = writeSync(fd, bytes, begin, Math.min(MOST_PER_CALL, bytes.length - begin));
  if (written === 0) throw new Error("the system took no bytes and gave no reason");
  return written;
}

/** The bytes of one batch that go to one output. */
export interface Slice {
  readonly key: OutputKey;
  readonly bytes: Uint8Array;
  readonly lines: number;
}

/** A slice whose bytes are still where the segments have them. */
interface Gathered {
  readonly key: OutputKey;
  /** Begin and end of each contiguous run of segments, one after the other: no object for each line of a busy stream. */
  readonly spans: number[];
  lines: number;
}

/**
 * Returns one slice for each output key, in the order of their first segments; where `single` is set, one slice with that
 * key. Each slice has the bytes of its segments in order: a view into `bytes` where they are contiguous, else a copy.
 */
export function gather(bytes: Uint8Array, segments: readonly Segment[], single?: OutputKey): Slice[] {
  const byId = new Map<string, Gathered>();
  const byKey = new Map<OutputKey, Gathered>(); // makes an id for each key object, not for each segment
  for (const { key: own, begin, end, lines } of segments) {
    const key = single ?? own;
    let gathered = byKey.get(key);
    if (gathered === undefined) {
      const id = idOf(key);
      gathered = byId.get(id) ?? { key, spans: [], lines: 0 };
      byId.set(id, gathered);
      byKey.set(key, gathered);
    }
    const { spans } = gathered;
    if (spans.at(-1) === begin) spans[spans.length - 1] = end;
    else spans.push(begin, end);
    gathered.lines += lines;
  }
  return [...byId.values()].map(({ key, spans, lines }) => ({ key, bytes: joined(bytes, spans), lines }));
}

function joined(bytes: Uint8Array, spans: readonly number[]): Uint8Array {
  if (spans.length === 2) return bytes.subarray(spans[0], spans[1]);
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let length = 0;
  for (let i = 0; i < spans.length; i += 2) length += must(spans[i + 1], "an end") - must(spans[i], "a begin");
  const copy = Buffer.allocUnsafe(length);
  for (let i = 0, at = 0; i < spans.length; i += 2) at += source.copy(copy, at, spans[i], spans[i + 1]);
  return copy;
}
