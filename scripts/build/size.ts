/** How large a binary is, what it consists of, and how large it may be. */

import { statSync } from "node:fs";
import type { Program } from "./bundle.ts";

/** What mongotap and its packages may add to the runtime: their JavaScript, its bytecode, and the notices. */
const OWN_BUDGET_MB = 14;
/** Runtime and all: what a user has to download and keep. */
const TOTAL_BUDGET_MB = 130;

export interface Size {
  readonly total: number;
  /** Bun as it is in its npm package. */
  readonly runtime: number;
}

export function sizeOf(binary: string, base: string): Size {
  return { total: statSync(binary).size, runtime: statSync(base).size };
}

/** @throws Error if the binary is larger than its budget */
export function checkSize({ total, runtime }: Size): void {
  const own = total - runtime;
  if (own > OWN_BUDGET_MB * 1e6) {
    throw new Error(`mongotap adds ${megabytes(own)} MB to Bun; the budget is ${OWN_BUDGET_MB} MB`);
  }
  if (total > TOTAL_BUDGET_MB * 1e6) {
    throw new Error(`the binary has ${megabytes(total)} MB; the budget is ${TOTAL_BUDGET_MB} MB`);
  }
}

/** What a binary contains, in lines; the largest packages by name. */
export function contentsOf({ total, runtime }: Size, { metafile, notices }: Program): string {
  const outputs = Object.values(metafile.outputs);
  const code = outputs.reduce((sum, output) => sum + output.bytes, 0);
  const inputs = outputs.flatMap((output) => Object.entries(output.inputs));
  const bySource = new Map<string, number>();
  for (const [path, { bytesInOutput }] of inputs) {
    const name = packageOf(path);
    bySource.set(name, (bySource.get(name) ?? 0) + bytesInOutput);
  }
  const largest = [...bySource].toSorted(([, a], [, b]) => b - a).slice(0, 6);
  const rest = code - largest.reduce((sum, [, bytes]) => sum + bytes, 0);
  const row = (bytes: number, text: string): string => `${megabytes(bytes).padStart(8)}  ${text}`;
  return [
    row(runtime, "Bun: JavaScriptCore, ICU, BoringSSL, zstd, SQLite and the rest of the runtime"),
    ...[...largest, ["other packages", rest] as const].map(([name, bytes]) => row(bytes, `JavaScript of ${name}`)),
    row(notices.length, "license notices"),
    row(total - runtime - code - notices.length, "bytecode of that JavaScript, so that it starts without being parsed"),
    row(total, `MB in all; the budget is ${TOTAL_BUDGET_MB}, of which ${OWN_BUDGET_MB} beside Bun`),
  ].join("\n");
}

function packageOf(path: string): string {
  const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path) ?? [];
  return name ?? "mongotap";
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(2);
}
