/** Results as rows of text, the same for the terminal and for Markdown. */

import { MONGOTAP } from "./names.ts";
import { timesOf } from "./ratio.ts";
import type { Group, Latency, Memory, MemoryPoint, Race } from "./results.ts";
import { median, summarize } from "./statistics.ts";

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function tableOf(group: Group): Table {
  switch (group.kind) {
    case "race":
      return raceTable(group);
    case "latency":
      return latencyTable(group);
    case "memory":
      return memoryTable(group);
  }
}

/** Padded with blanks; all columns but the first to the right. */
export function toText({ head, rows }: Table): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return [head, ...rows].map((row) => line(row).trimEnd()).join("\n");
}

export function toMarkdown({ head, rows }: Table): string {
  const line = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...rows].map(line).join("\n");
}

/** The contestant whose time is 1 in the last column. */
function referenceOf(race: Race): string {
  return race.rows.find(({ name }) => name.startsWith(MONGOTAP))?.name ?? race.rows[0]?.name ?? "";
}

function raceTable(race: Race): Table {
  const reference = referenceOf(race);
  const head = ["", "time", "min–max", "MB/s", "documents/s", "CPU", "CPU of server", "memory", `time ÷ ${reference}`];
  // start-up has no documents
  const hasDocuments = race.documents > 1;
  const keep = (_: string, column: number): boolean => hasDocuments || (column !== 3 && column !== 4 && column !== 6);
  const rows = race.rows.map(({ name, runs }) => {
    const { median: seconds, min, max } = summarize(runs.map((run) => run.seconds));
    return [
      name,
      timeText(seconds),
      `${timeText(min)}–${timeText(max)}`,
      (race.bytes / 1e6 / seconds).toFixed(0),
      Math.round(race.documents / seconds).toLocaleString("en-US"),
      timeText(median(runs.map((run) => run.cpuSeconds))),
      timeText(median(runs.map((run) => run.serverCpuSeconds))),
      `${Math.max(...runs.map((run) => run.peakMB)).toFixed(0)} MB`,
      timesText(timesOf(race, name, reference)),
    ].filter(keep);
  });
  return { head: head.filter(keep), rows };
}

function latencyTable({ rows }: Latency): Table {
  const cells = rows.map(({ name, runs }) => [
    name,
    `${median(runs.map((run) => run.p50)).toFixed(1)} ms`,
    `${median(runs.map((run) => run.p99)).toFixed(1)} ms`,
    `${Math.max(...runs.map((run) => run.max)).toFixed(1)} ms`,
    runs.reduce((sum, run) => sum + run.writes, 0).toLocaleString("en-US"),
  ]);
  return { head: ["", "p50", "p99", "longest", "writes"], rows: cells };
}

function memoryTable({ rows }: Memory): Table {
  const cells = rows.map(({ name, points, peakMB }) => {
    const { early, late } = halves(points);
    const seconds = points.at(-1)?.seconds ?? 0;
    return [name, timeText(seconds), `${peakMB.toFixed(0)} MB`, `${early.toFixed(0)} MB`, `${late.toFixed(0)} MB`];
  });
  return { head: ["", "time", "peak", "peak of the first half", "of the second"], rows: cells };
}

/** The highest memory of the first and of the second half of a run. */
export function halves(points: readonly MemoryPoint[]): { readonly early: number; readonly late: number } {
  const end = points.at(-1)?.seconds ?? 0;
  const highest = (some: readonly MemoryPoint[]): number => Math.max(0, ...some.map(({ megabytes }) => megabytes));
  return {
    early: highest(points.filter(({ seconds }) => seconds < end / 2)),
    late: highest(points.filter(({ seconds }) => seconds >= end / 2)),
  };
}

export function timeText(seconds: number): string {
  return seconds < 0.2 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

function timesText(times: number | undefined): string {
  return times === undefined ? "–" : times.toFixed(times < 10 ? 2 : 1);
}
