/** The subjects of the benchmark, by the names that `--only` takes. */

import { measureAirbyte } from "./airbyte.ts";
import { measureBackfill, measureShapes } from "./backfill.ts";
import { measureCapture } from "./capture.ts";
import { measureGrowth } from "./growth.ts";
import { measureLatency } from "./latency.ts";
import { measureMemory } from "./memory.ts";
import type { Group } from "./results.ts";
import { measureStartup } from "./startup.ts";
import { measureTail } from "./tail.ts";
import { measureUpdates } from "./updates.ts";
import type { BenchContext } from "./context.ts";

export const SECTIONS: Readonly<Record<string, (context: BenchContext) => Promise<readonly Group[]>>> = {
  backfill: measureBackfill,
  shapes: measureShapes,
  capture: measureCapture,
  airbyte: measureAirbyte,
  tail: measureTail,
  updates: measureUpdates,
  latency: measureLatency,
  startup: measureStartup,
  memory: measureMemory,
  growth: measureGrowth,
};
