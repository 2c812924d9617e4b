/** Counts of a run; and counts, sizes and tables as text for people. */

import type { Batch } from "../source/record.ts";

/** Counts of a run, up to now. `bytes` are bytes of output; `startedAt` in ms. */
export interface Stats {
  documents: number;
  events: number;
  lines: number;
  bytes: number;
  readonly startedAt: number;
}

/** Counts of a run that starts at `now`, in ms. */
export function newStats(now: number): Stats {
  return { documents: 0, events: 0, lines: 0, bytes: 0, startedAt: now };
}

/** Adds a batch that became `lines` lines of `bytes` bytes. */
export function countBatch(stats: Stats, batch: Batch, lines: number, bytes: number): void {
  if (batch.kind === "rows") stats.documents += batch.documents.count;
  else stats.events += batch.documents.count;
  stats.lines += lines;
  stats.bytes += bytes;
}

/**
 * `1,000,000 documents and 12 changes, 771.2 MB in 3.2 s`; with the size in brackets, `1 document (2 B) in 0.1 s`, it follows
 * a verb. `now` in ms.
 */
export function summaryOf(stats: Stats, now: number, size?: "in brackets"): string {
  const parts: string[] = [];
  if (stats.documents > 0 || stats.events === 0) parts.push(countOf(stats.documents, "document"));
  if (stats.events > 0) parts.push(countOf(stats.events, "change"));
  const bytes = sizeOf(stats.bytes);
  const shown = size === undefined ? `, ${bytes}` : ` (${bytes})`;
  return `${parts.join(" and ")}${shown} in ${((now - stats.startedAt) / 1000).toFixed(1)} s`;
}

/** `1,234 documents`, `1 document`. */
export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

/** `771.2 MB`: decimal units, as for disks and networks. */
export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A table for the terminal: each column has the width of its widest cell; the columns in `right` are right-aligned. */
export function tableOf(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [header, ...rows].map(line).join("\n");
}
