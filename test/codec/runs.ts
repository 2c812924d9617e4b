/** The number of runs of a property: `FUZZ=5 bun test test/codec` has five times as many. */

import process from "node:process";

const factor = Number(process.env["FUZZ"] ?? 1);

export function runs(count: number): { numRuns: number } {
  return { numRuns: Math.ceil(count * factor) };
}
