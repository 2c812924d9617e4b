/** Contestants take turns: A B C, A B C, …, so that all share the same load of the machine. */

import type { Outcome } from "./process.ts";
import type { Measured, Row } from "./results.ts";
import type { BenchContext } from "./context.ts";

export interface Contestant {
  readonly name: string;
  /** Runs once. Rejects if its output is wrong. */
  run(): Promise<Outcome>;
}

export interface Turns {
  /** Default: that of the context. */
  readonly rounds?: number;
  /** Pause before each run. */
  readonly restMs?: number;
}

/** Runs each contestant `rounds` times. Each run is logged with `what`. */
export async function takeTurns(
  context: BenchContext,
  what: string,
  all: readonly Contestant[],
  { rounds = context.rounds, restMs = 0 }: Turns = {},
): Promise<Row[]> {
  const contestants = all.filter(({ name }) => !context.without.some((start) => name.startsWith(start)));
  const rows = contestants.map(({ name }) => ({ name, runs: [] as Measured[], bytes: 0 }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, contestant] of contestants.entries()) {
      const row = rows[index];
      if (row === undefined) continue;
      if (restMs > 0) await Bun.sleep(restMs);
      const serverBefore = context.serverCpuSeconds();
      const { finished, bytes } = await contestant.run();
      const { seconds, cpuSeconds, peakMB } = finished;
      row.runs.push({ seconds, cpuSeconds, peakMB, serverCpuSeconds: context.serverCpuSeconds() - serverBefore });
      row.bytes = bytes;
      context.log(`${what}, round ${round}: ${contestant.name}: ${seconds.toFixed(3)} s`);
    }
  }
  return rows;
}
