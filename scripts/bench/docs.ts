/** Generates docs/benchmarks.md and its plots from the results alone: every number was measured by a run. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { goalsOf, microsecondsPerDocument } from "./goals.ts";
import { MONGOTAP } from "./names.ts";
import { type Axes, barPlot, type Line, linePlot } from "./plot.ts";
import type { Group, Machine, Memory, Race, Results, Section } from "./results.ts";
import { median } from "./statistics.ts";
import { tableOf, timeText, toMarkdown } from "./table.ts";

/** The files by their names below docs/. */
export type Files = Readonly<Record<string, string>>;

export function writeDocs(folder: string, results: Results): void {
  mkdirSync(join(folder, "benchmarks"), { recursive: true });
  for (const [name, text] of Object.entries(docsOf(results))) writeFileSync(join(folder, name), text);
}

const TITLES: Readonly<Record<string, string>> = {
  backfill: "Backfill of one collection",
  shapes: "Backfill of other documents",
  capture: "Capture of an idle collection",
  airbyte: "Read for Airbyte",
  tail: "Tail from a start time",
  updates: "Tail of updates without images",
  latency: "Latency",
  startup: "Start-up",
  memory: "Memory",
  growth: "Growing collections",
};

/** What a reader of a table must know. */
const REMARKS: Readonly<Record<string, string>> = {
  backfill: `The **bare drain** reads the server's raw replies and throws them away: nothing can be faster over one
connection. mongodump writes BSON as it comes, without making JSON of it. The output of every run is examined: each
document exactly once, a sample of them compared field by field with what was inserted. Three seconds of rest before each
run let a virtual machine give freed memory back to its host, so that nobody writes into what another has paid for.`,
  capture: `Both write the same lines into a file and keep a state. Capture opens the change stream first and ends when it has
caught up.`,
  airbyte: `All read the collection through the same source and discard what they write. A record of Airbyte repeats the name of
its stream, the time of its emission and three columns about its change.`,
  tail: `The server makes the events in one thread, which is the limit here. mongotap writes the documents with \`_meta\`, the
driver whole events; Debezium is timed from its first event on, without its start. One collection is read here; several of
one database share a stream that the server has to filter ([what that costs](decisions/009-one-change-stream-per-run.md)).`,
  updates: `mongotap shows each document as its update left it ([how](decisions/013-documents-as-of-their-event.md)); \`updateLookup\` is
the server's own look-up, of the document as it is by then. The drain without it has no documents at all. Each update counts in its document,
so the lines of every run are examined for the version that they show.`,
  latency: `From the moment at which the writer has its acknowledgement to the moment at which the reader of the pipe has the
line. The server, the writer, the reader and mongotap share the machine.`,
  startup: "Median of 20 runs; memory is the highest of all runs.",
  memory: `Resident memory of the process. The slow consumer reads a pipe at a steady rate that makes the whole copy last half
a minute.`,
  growth: `Flat documents of 200 bytes; the time per document is without what a run over one document takes.`,
};

export function docsOf(results: Results): Files {
  const files: Record<string, string> = {};
  const parts = [intro(results)];
  for (const [name, title] of Object.entries(TITLES)) {
    const section = results[name];
    if (section === undefined) continue;
    parts.push(`## ${title}`, REMARKS[name] ?? "", setting(section));
    for (const group of section.groups) {
      parts.push(...groupParts(group));
      const plot = plotOf(group);
      if (plot === undefined) continue;
      files[`benchmarks/${group.id}.svg`] = plot;
      parts.push(`![${group.title}](benchmarks/${group.id}.svg)`);
    }
    if (name === "growth") {
      files["benchmarks/growth.svg"] = growthPlot(results);
      parts.push("![time per document](benchmarks/growth.svg)");
    }
  }
  return { ...files, "benchmarks.md": `${parts.filter((part) => part !== "").join("\n\n")}\n` };
}

function intro(results: Results): string {
  const rows = goalsOf(results).map(({ figure, goal, measured, isMet }) => {
    const verdict = isMet === undefined ? "" : isMet ? "met" : "**not met**";
    return [figure, goal, measured ?? "not measured", verdict];
  });
  return [
    "# Benchmarks",
    `Written by \`bun scripts/bench.ts --write-docs\` of what \`npm run bench\` has measured. Each run starts a replica set of
one member, fills it with documents that are the same every time, and lets the contestants take turns: A B C, A B C, …
Contestants are whole processes, their start included. Tables show medians, the least and the most; ratios are medians of
the ratios of each round. MB are 10⁶ bytes of BSON.`,
    "## Goals",
    toMarkdown({ head: ["figure", "goal", "measured", ""], rows }),
    `What weighs on what is not met: a run starts, and its hot code is compiled, in some tenths of a second, which a collection of
a second or two feels (the growing ones from 10⁴ documents on, and some shapes); and the bare drain itself is hardly faster
than 12 × mongoexport here. [What was tried](decisions/210-unmet-performance-goals.md).`,
  ].join("\n\n");
}

function setting({ machine, rounds, command }: Section): string {
  return `\`${command}\`, ${rounds} rounds, on ${machineText(machine)}.`;
}

function machineText({ cores, memoryGB, versions }: Machine): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cores} cores shared with the server, ${memoryGB} GB; ${programs.join(", ")}`;
}

function groupParts(group: Group): string[] {
  const parts = [`### ${capitalized(group.title)}`];
  if (group.kind === "race" && group.documents > 1) {
    const size = (group.bytes / 1e6).toFixed(0);
    parts.push(`${group.documents.toLocaleString("en-US")} documents, ${size} MB.`);
  }
  parts.push(toMarkdown(tableOf(group)));
  if (group.kind === "race" && group.absent.length > 0) parts.push(`Left out: ${group.absent.join("; ")}.`);
  if (group.kind === "race" && group.remark !== undefined) parts.push(group.remark);
  return parts;
}

function plotOf(group: Group): string | undefined {
  if (group.kind === "memory") return memoryPlot(group);
  if (group.kind !== "race" || group.documents < 2 || group.id.startsWith("growth-")) return undefined;
  return racePlot(group);
}

function racePlot(race: Race): string {
  const bars = race.rows.map(({ name, runs }) => {
    const seconds = median(runs.map((run) => run.seconds));
    const rate = race.bytes / 1e6 / seconds;
    const text = `${rate.toFixed(0)} MB/s, ${timeText(seconds)}`;
    return { label: name, value: rate, text, isMongotap: name.startsWith(MONGOTAP) };
  });
  return barPlot(`${race.title}: MB of BSON per second`, bars);
}

function memoryPlot({ title, rows }: Memory): string {
  const end = Math.max(...rows.map(({ points }) => points.at(-1)?.seconds ?? 0));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => ({ at: part * end, text: `${(part * end).toFixed(0)} s` }));
  const lines = rows.map(({ name, points }): Line => ({
    label: name,
    points: points.map((one) => [one.seconds, one.megabytes] as const),
  }));
  return linePlot({ title: `${title}: resident memory`, ticks, unit: "MB" }, lines);
}

function growthPlot(results: Results): string {
  const series = (results["growth"]?.groups ?? []).flatMap((group) => (group.kind === "race" ? group.rows : []));
  const names = [...new Set(series.map(({ name }) => name))].toSorted((a) => (a === MONGOTAP ? -1 : 1));
  const lines = names.map((name): Line => {
    const points = microsecondsPerDocument(results, name);
    return {
      label: name,
      points: points.map(({ documents, microseconds }) => [Math.log10(documents), microseconds] as const),
    };
  });
  const ticks = (lines[0]?.points ?? []).map(([at]) => ({ at, text: Math.round(10 ** at).toLocaleString("en-US") }));
  const axes: Axes = { title: "Time per document, in microseconds, by the size of the collection", ticks, unit: "µs" };
  return linePlot(axes, lines);
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
