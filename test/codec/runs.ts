/** How often properties are tried: `FUZZ=5 bun test test/codec` tries five times as often. */

import process from "node:process";

const factor = Number(process.env["FUZZ"] ?? 1);

export function runs(count: number): { numRuns: number } {
  return { numRuns: Math.ceil(count * factor) };
}
