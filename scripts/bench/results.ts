/** The file with the results of the benchmark; tables and plots are generated from it alone. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** One run of one contestant, from its start to its end. */
export interface Measured {
  readonly seconds: number;
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  /** Processor time of the server during the run. */
  readonly serverCpuSeconds: number;
  readonly peakMB: number;
}

export interface Row {
  readonly name: string;
  readonly runs: readonly Measured[];
  /** Bytes of output; 0 where nothing is written. */
  readonly bytes: number;
}

/** Contestants that took turns at the same work. */
export interface Race {
  readonly kind: "race";
  readonly id: string;
  readonly title: string;
  readonly documents: number;
  /** Of BSON. */
  readonly bytes: number;
  readonly rows: readonly Row[];
  /** The contestants that were not measured, and why. */
  readonly absent: readonly string[];
  /** A sentence about the output. */
  readonly remark?: string;
}

/** From the acknowledgement of a write to its line in the pipe, in milliseconds. */
export interface Delay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly writes: number;
}

export interface Latency {
  readonly kind: "latency";
  readonly id: string;
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly runs: readonly Delay[] }[];
}

/** Resident memory at a moment of a run. */
export interface MemoryPoint {
  readonly seconds: number;
  readonly megabytes: number;
}

export interface Memory {
  readonly kind: "memory";
  readonly id: string;
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly points: readonly MemoryPoint[]; readonly peakMB: number }[];
}

export type Group = Race | Latency | Memory;

/** The machine and the programs of a run. */
export interface Machine {
  readonly cores: number;
  readonly memoryGB: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** One subject. Each can be run separately, and records its machine. */
export interface Section {
  readonly groups: readonly Group[];
  readonly machine: Machine;
  readonly rounds: number;
  /** The command line. */
  readonly command: string;
}

/** Sections by their names. */
export type Results = Readonly<Record<string, Section>>;

const FORMAT_VERSION = 1;

/** Empty if there is no file. */
export function loadResults(path: string): Results {
  if (!existsSync(path)) return {};
  const results: Record<string, Section> = {};
  for (const line of readFileSync(path, "utf8").trimEnd().split("\n")) {
    const { formatVersion, name, ...section } = JSON.parse(line) as Section & { formatVersion: number; name: string };
    if (formatVersion !== FORMAT_VERSION) throw new Error(`${path} is of another version of the benchmark`);
    results[name] = section;
  }
  return results;
}

/** Puts one section into the file, a line of its own, and leaves the others as they are. */
export function saveSection(path: string, name: string, section: Section): void {
  const lines = Object.entries({ ...loadResults(path), [name]: section }).map(([key, value]) =>
    JSON.stringify({ formatVersion: FORMAT_VERSION, name: key, ...value }, rounded),
  );
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${lines.join("\n")}\n`);
  renameSync(`${path}.new`, path);
}

/** Tenths of milliseconds are noise, and make the file hard to read. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" ? Math.round(value * 1e4) / 1e4 : value;
}
