/** What `--out` means: standard output, a file, or a folder; and the sink for it. */

import { availableParallelism } from "node:os";
import { resolve } from "node:path";

import { type FileTarget, openFileSink } from "../sink/files.ts";
import { QUARANTINE } from "../protocol/bad-documents.ts";
import { withQuarantine } from "../sink/quarantine.ts";
import type { OutputMark, Sink } from "../sink/sink.ts";
import { openStdoutSink } from "../sink/stdout.ts";
import { createWriteBehind } from "../sink/write-behind.ts";
import type { ProcessContext } from "./invocation.ts";

export type Target = FileTarget | { readonly kind: "stdout" };

/** `-` is standard output; a path that ends with a slash is a folder with one file for each collection. */
export function targetOf(out: string): Target {
  if (out === "-") return { kind: "stdout" };
  return /[/\\]$/.test(out) ? { kind: "directory", path: resolve(out) } : { kind: "file", path: resolve(out) };
}

/** How the target is told in messages and in the fingerprint of a state. */
export function targetText(target: Target): string {
  return target.kind === "stdout" ? "-" : target.kind === "directory" ? `${target.path}/` : target.path;
}

export interface OutputSettings {
  readonly target: Target;
  readonly marks: readonly OutputMark[];
  readonly seals: boolean;
  readonly replace: boolean;
  readonly hasState: boolean;
  readonly namespaces: readonly string[];
  /** Nothing else will be written, by this process or another. */
  readonly isComplete: boolean;
  /** By namespace, what names its file in a folder instead. */
  readonly targets: ReadonlyMap<string, string>;
  /** A second file, for documents that cannot be carried. */
  readonly quarantine: string | undefined;
  /** About how many bytes of memory all of this may take. */
  readonly maxMemory: number;
  readonly context: ProcessContext;
}

/** From here on there is room for a thread that writes. */
const ENOUGH_FOR_THREAD = 128_000_000;

/** @throws MongotapError `output` or `state` before anything is read from the source */
export async function openOutput(settings: OutputSettings): Promise<Sink> {
  const { quarantine, marks, hasState, replace } = settings;
  if (quarantine === undefined) return openMain(settings, marks);
  const target = { kind: "file", path: resolve(quarantine) } as const;
  const isAside = (mark: OutputMark): boolean => mark.path === target.path;
  const main = await openMain(
    settings,
    marks.filter((mark) => !isAside(mark)),
  );
  try {
    const common = { target, seals: false, replace, durable: hasState, signal: settings.context.signal };
    const aside = await openFileSink({ ...common, marks: marks.filter(isAside) });
    return withQuarantine(main, aside, QUARANTINE);
  } catch (error) {
    await main[Symbol.asyncDispose]();
    throw error;
  }
}

function openMain(
  { target, seals, replace, hasState, namespaces, isComplete: isWhole, targets, maxMemory, context }: OutputSettings,
  marks: readonly OutputMark[],
): Promise<Sink> {
  if (target.kind === "stdout") return openStdoutSink({ fd: 1, refuseNull: hasState });
  const hasThread = maxMemory >= ENOUGH_FOR_THREAD && availableParallelism() > 1;
  const behind = hasThread ? createWriteBehind() : undefined;
  const { signal } = context;
  const outputs = { namespaces, isWhole, targets };
  return openFileSink({ target, marks, seals, replace, durable: hasState, ...outputs, signal, behind });
}
