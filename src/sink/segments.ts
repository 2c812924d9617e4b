/** The segments of one write, put together by where they go. */

import type { Segment } from "./sink.ts";

/** What is written to one output in one piece. */
export interface ContiguousSlice {
  /** "" where all collections go to one output. */
  readonly namespace: string;
  readonly bytes: Uint8Array;
  readonly lines: number;
}

/**
 * One run for each collection (`apart`) or one for all, each with its segments in order. Neighbours are views into
 * `bytes`; only what is interleaved with other collections is copied.
 */
export function gather(bytes: Uint8Array, segments: readonly Segment[], apart: boolean): ContiguousSlice[] {
  const byNamespace = new Map<string, { spans: { begin: number; end: number }[]; lines: number }>();
  for (const { namespace, begin, end, lines } of segments) {
    const key = apart ? namespace : "";
    const run = byNamespace.get(key);
    const last = run?.spans.at(-1);
    if (run === undefined) byNamespace.set(key, { spans: [{ begin, end }], lines });
    else if (last?.end === begin) last.end = end;
    else run.spans.push({ begin, end });
    if (run !== undefined) run.lines += lines;
  }
  return [...byNamespace].map(([namespace, { spans, lines }]) => {
    const views = spans.map(({ begin, end }) => bytes.subarray(begin, end));
    const [only] = views;
    return { namespace, bytes: only !== undefined && views.length === 1 ? only : Buffer.concat(views), lines };
  });
}
