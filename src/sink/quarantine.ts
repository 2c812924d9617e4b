/** A sink with a second file beside it for the lines of one namespace; both are committed together. */

import type { OutputMark, Segment, Sink } from "./sink.ts";

/** Segments of `namespace` go to `aside`, all others to `main`. */
export function withQuarantine(main: Sink, aside: Sink, namespace: string): Sink {
  const both = async (step: (sink: Sink) => Promise<readonly OutputMark[]>): Promise<readonly OutputMark[]> => [
    ...(await step(main)),
    ...(await step(aside)),
  ];
  return {
    mayBlock: main.mayBlock || aside.mayBlock,
    async write(bytes: Uint8Array, segments: readonly Segment[]) {
      const isAside = (segment: Segment): boolean => segment.namespace === namespace;
      if (!segments.some(isAside)) return main.write(bytes, segments);
      await main.write(
        bytes,
        segments.filter((segment) => !isAside(segment)),
      );
      await aside.write(bytes, segments.filter(isAside));
    },
    async written() {
      await main.written();
      await aside.written();
    },
    flush: () => both((sink) => sink.flush()),
    finalize: () => both((sink) => sink.finalize()),
    async onStateSaved() {
      await main.onStateSaved();
      await aside.onStateSaved();
    },
    async [Symbol.asyncDispose]() {
      await main[Symbol.asyncDispose]();
      await aside[Symbol.asyncDispose]();
    },
  };
}
