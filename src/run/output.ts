/** What `--out` means: standard output, a file or a directory. Opens the sink for it. */

import { availableParallelism } from "node:os";
import { resolve } from "node:path";

import { type OutputKey, QUARANTINE } from "../lib/output-key.ts";
import { openFileSink } from "../sink/files.ts";
import { inspectTarget } from "../sink/inspect-path.ts";
import type { FileTarget } from "../sink/paths.ts";
import { withQuarantine } from "../sink/quarantine.ts";
import type { OutputMark, Sink } from "../sink/sink.ts";
import { openStdoutSink } from "../sink/stdout.ts";
import { createWriteBehind } from "../sink/write-behind.ts";
import type { ProcessContext } from "./invocation.ts";

export type Target = FileTarget | { readonly kind: "stdout" };

/** `-` is standard output; a path that ends with a slash is a directory with a file for each collection. */
export function targetOf(out: string): Target {
  if (out === "-") return { kind: "stdout" };
  return /[/\\]$/.test(out) ? { kind: "directory", path: resolve(out) } : { kind: "file", path: resolve(out) };
}

/** Returns the target as messages and the fingerprint of a state have it. */
export function targetText(target: Target): string {
  return target.kind === "stdout" ? "-" : target.kind === "directory" ? `${target.path}/` : target.path;
}

export interface OutputSettings {
  readonly target: Target;
  readonly marks: readonly OutputMark[];
  /** As in FileSinkOptions, and so are those up to `targets`. */
  readonly finalizes: boolean;
  readonly replace: boolean;
  readonly hasState: boolean;
  readonly outputs: readonly OutputKey[];
  readonly isComplete: boolean;
  readonly targets: ReadonlyMap<string, string>;
  /** The path of the quarantine file, where that is the policy. */
  readonly quarantine: string | undefined;
  /** `--max-memory`, in bytes. */
  readonly maxMemory: number;
  readonly context: ProcessContext;
}

/**
 * Resolves to whether the sink of `target`, and that of the quarantine file where there is one, are going to have `rollBack`.
 * @throws MongotapError `output` when one cannot be written to
 */
export async function canRollBack(target: Target, quarantine: string | undefined): Promise<boolean> {
  if (target.kind === "stdout") return false;
  const isCuttable = async (kind: "file" | "directory", path: string): Promise<boolean> =>
    (await inspectTarget(kind, path)) === kind;
  if (!(await isCuttable(target.kind, target.path))) return false;
  return quarantine === undefined || (await isCuttable("file", resolve(quarantine)));
}

/** With this much memory, in bytes, there is room for the thread that writes. */
const MIN_MEMORY_FOR_THREAD = 128_000_000;

/** Opens the sink of a run. @throws MongotapError as `openFileSink` and `openStdoutSink` do */
export async function openOutput(settings: OutputSettings): Promise<Sink> {
  const { quarantine, marks, hasState, replace } = settings;
  if (quarantine === undefined) return openMain(settings, marks);
  const target = { kind: "file", path: resolve(quarantine), key: QUARANTINE } as const;
  const isQuarantine = (mark: OutputMark): boolean => mark.path === target.path;
  const main = await openMain(
    settings,
    marks.filter((mark) => !isQuarantine(mark)),
  );
  try {
    const common = { target, finalizes: false, replace, hasState, signal: settings.context.signal };
    const second = await openFileSink({ ...common, marks: marks.filter(isQuarantine) });
    return withQuarantine(main, second);
  } catch (error) {
    await main[Symbol.asyncDispose]();
    throw error;
  }
}

function openMain(
  { target, finalizes, replace, hasState, outputs, isComplete, targets, maxMemory, context }: OutputSettings,
  marks: readonly OutputMark[],
): Promise<Sink> {
  if (target.kind === "stdout") return openStdoutSink({ fd: 1, refuseNull: hasState });
  const hasThread = maxMemory >= MIN_MEMORY_FOR_THREAD && availableParallelism() > 1;
  const behind = hasThread ? createWriteBehind() : undefined;
  const files = { finalizes, replace, hasState, outputs, isComplete, targets };
  return openFileSink({ target, marks, ...files, signal: context.signal, behind });
}
