/** What a run has done so far, and how that is said. */

import type { Batch } from "../source/record.ts";

export interface Stats {
  documents: number;
  events: number;
  lines: number;
  bytes: number;
  readonly startedAt: number;
}

export function newStats(now: number): Stats {
  return { documents: 0, events: 0, lines: 0, bytes: 0, startedAt: now };
}

export function countBatch(stats: Stats, batch: Batch, lines: number, bytes: number): void {
  if (batch.kind === "rows") stats.documents += batch.documents.count;
  else stats.events += batch.documents.count;
  stats.lines += lines;
  stats.bytes += bytes;
}

/** Such as `1,000,000 documents and 12 changes, 771.2 MB in 3.2 s`. `now` and `startedAt` in ms. */
export function summaryOf(stats: Stats, now: number): string {
  const parts: string[] = [];
  if (stats.documents > 0 || stats.events === 0) parts.push(countOf(stats.documents, "document"));
  if (stats.events > 0) parts.push(countOf(stats.events, "change"));
  return `${parts.join(" and ")}, ${sizeOf(stats.bytes)} in ${((now - stats.startedAt) / 1000).toFixed(1)} s`;
}

export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Decimal units, as disks and networks count. */
export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
