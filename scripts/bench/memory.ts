/** Resident memory over a large backfill, with a consumer that is fast and one that is slow. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { mongotapCommand } from "./backfill.ts";
import { loadCollection } from "./load.ts";
import { withReader } from "./pipe.ts";
import { type Finished, runProcess } from "./process.ts";
import type { Memory, MemoryPoint } from "./results.ts";
import { SHAPES } from "./shapes.ts";
import type { BenchContext } from "./context.ts";

const SAMPLE_MS = 50;
/** How long the slow consumer takes to read everything, at a steady rate. */
const SLOW_SECONDS = 30;
/** As many points as a plot can show. */
const POINTS = 150;

export async function measureMemory(context: BenchContext): Promise<Memory[]> {
  const groups: Memory[] = [];
  for (const shape of SHAPES) {
    if (shape.name !== "typical" && shape.name !== "large") continue;
    context.log(`memory: loading ${shape.name}`);
    const loaded = await loadCollection(
      context.client,
      shape.name,
      Math.ceil(context.documents * shape.share),
      shape.make,
    );
    const command = mongotapCommand(context, "backfill", loaded);
    const file = join(context.folder, "output");
    const fast = await watched({ command: [...command, "--out", file] });
    await rm(file);
    const rate = Math.ceil(loaded.bytes / SLOW_SECONDS);
    const reader = (path: string): string[] => [context.programs.client, "slow-reader", path, String(rate)];
    const { result: slow, lines } = await withReader(context.folder, (stdout) => watched({ command, stdout }), reader);
    if (lines !== loaded.documents) throw new Error(`${lines} lines, not ${loaded.documents}`);
    const rows = [
      { name: "to a file", ...fast },
      { name: `to a reader that takes ${SLOW_SECONDS} s`, ...slow },
    ];
    for (const { name, peakMB } of rows) context.log(`memory: ${shape.name}, ${name}: ${peakMB.toFixed(0)} MB`);
    await context.client.db(loaded.database).dropCollection(loaded.collection);
    groups.push({ kind: "memory", id: `memory-${shape.name}`, title: shape.text, rows });
  }
  return groups;
}

interface Watched {
  readonly points: readonly MemoryPoint[];
  readonly peakMB: number;
}

async function watched(options: { command: string[]; stdout?: number }): Promise<Watched> {
  const points: MemoryPoint[] = [];
  const onSample = (point: MemoryPoint): unknown => points.push(point);
  const { peakMB }: Finished = await runProcess({ ...options, sampleMs: SAMPLE_MS, onSample });
  return { points: thinned(points), peakMB };
}

/** The highest of each stretch, so that no peak is lost. */
function thinned(points: readonly MemoryPoint[]): MemoryPoint[] {
  const stretch = Math.ceil(points.length / POINTS);
  const kept: MemoryPoint[] = [];
  for (let at = 0; at < points.length; at += stretch) {
    const highest = points.slice(at, at + stretch).reduce((a, b) => (b.megabytes > a.megabytes ? b : a));
    kept.push(highest);
  }
  return kept;
}
