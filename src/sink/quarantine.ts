/** An output with a second one for the documents that cannot be carried. Both are committed together. */

import type { OutputMark, Segment, Sink } from "./sink.ts";

/** Returns a sink that writes the segments with the key QUARANTINE to `quarantine`, all others to `main`. Disposes both. */
export function withQuarantine(main: Sink, quarantine: Sink): Sink {
  const both = async (step: (sink: Sink) => Promise<readonly OutputMark[]>): Promise<readonly OutputMark[]> => [
    ...(await step(main)),
    ...(await step(quarantine)),
  ];
  const canRollBack = main.rollBack !== undefined && quarantine.rollBack !== undefined;
  const rollBack = async (): Promise<void> => {
    await main.rollBack?.();
    await quarantine.rollBack?.();
  };
  return {
    ...(canRollBack ? { rollBack } : {}),
    mayBlock: main.mayBlock || quarantine.mayBlock,
    async write(bytes: Uint8Array, segments: readonly Segment[]) {
      if (!segments.some(isQuarantined)) return main.write(bytes, segments);
      await main.write(
        bytes,
        segments.filter((segment) => !isQuarantined(segment)),
      );
      await quarantine.write(bytes, segments.filter(isQuarantined));
    },
    async written() {
      await main.written();
      await quarantine.written();
    },
    flush: () => both((sink) => sink.flush()),
    finalize: () => both((sink) => sink.finalize()),
    async onStateSaved() {
      await main.onStateSaved();
      await quarantine.onStateSaved();
    },
    async [Symbol.asyncDispose]() {
      const closed = [await settled(main), await settled(quarantine)];
      const failed = closed.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
  };
}

function isQuarantined({ key }: Segment): boolean {
  return key.kind === "quarantine";
}

async function settled(sink: Sink): Promise<PromiseSettledResult<void>> {
  const [result] = await Promise.allSettled([sink[Symbol.asyncDispose]()]);
  return result;
}
