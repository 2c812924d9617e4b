/** How often properties are tried: `FUZZ=100 bun test test/codec` tries a hundred times as often. */

import process from "node:process";
import { setDefaultTimeout } from "bun:test";

const factor = Number(process.env["FUZZ"] ?? 1);

if (factor > 1) setDefaultTimeout(60_000 * factor);

export function runs(count: number): { numRuns: number } {
  return { numRuns: Math.ceil(count * factor) };
}
