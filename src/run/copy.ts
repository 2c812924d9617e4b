/**
 * What backfill, tail and capture have in common: lock, state, connection, readers, source and output are opened in this
 * order, the pump copies, and everything is closed in reverse order.
 */

import type { Settings } from "../config/options.ts";
import { connectionStringOf } from "../config/server.ts";
import type { Connection } from "../connect/client.ts";
import { MongotapError } from "../errors.ts";
import { settledWithin } from "../lib/async.ts";
import type { OutputKey } from "../lib/output-key.ts";
import { Stop } from "../lib/process.ts";
import { newStats } from "../observe/stats.ts";
import type { PumpResult } from "../pipeline/pump.ts";
import type { ReadThrottle } from "../pipeline/throttle.ts";
import type { EnvelopeName } from "../protocol/envelopes.ts";
import { createLineEncoder, type LineOptions } from "../protocol/line-encoder.ts";
import { bindingText, includesBinding } from "../source/bindings.ts";
import { type CollectionInfo, resolveBindings } from "../source/catalog.ts";
import type { Binding, Source } from "../source/record.ts";
import type { Sink } from "../sink/sink.ts";
import { type Checkpoint, type Fingerprint, timeOfCheckpoint } from "../state/checkpoint.ts";
import { type CheckpointStore, leftOut, loadMatching, openCheckpointStore, rebind } from "./checkpoint-store.ts";
import { type ConnectionSettings, openConnection } from "./connection.ts";
import type { Invocation } from "./invocation.ts";
import { lockOutputs } from "./output-locks.ts";
import { type Conclusion, conclusionOf, exitWith, formOf, logSummary, type RunEnd } from "./outcome.ts";
import { openOutput, type Target, targetOf, targetText } from "./output.ts";
import { createReaderPool, type ReaderPool, type ReadSettings, throttleOf } from "./reader-pool.ts";
import { selectBindings, type SelectionSettings } from "./selection.ts";
import { transferLines } from "./transfer.ts";

/** The settings that backfill, tail and capture have in common. */
export type CommonSettings = ConnectionSettings &
  SelectionSettings &
  Pick<Settings, "out" | "format" | "envelope" | "arrays" | "documents" | "strict" | "onBadDocument"> &
  Pick<Settings, "state" | "fresh" | "acceptChange" | "waitLock" | "skipIfLocked"> &
  Pick<Settings, "for" | "limit" | "retryFor" | "maxMemory" | "allowMissing">;

/** The optional settings are those that only some of the three take. */
type CopySettings = CommonSettings &
  Partial<ReadSettings & Pick<Settings, "split" | "shard" | "until" | "fullDocument" | "before">>;

/** What a command wants of a run. */
export interface RunPlan {
  readonly defaultEnvelope: EnvelopeName;
  /** The output is complete when the source ends: its files are finalized. */
  readonly finalizes: boolean;
  /** The run ends by itself. If it is stopped before, its exit code says so. */
  readonly bounded: boolean;
  /**
   * Resolves to what to read, and to the outputs whose files must exist even if they get no line. Resolves to undefined if
   * an earlier run has read everything.
   */
  readonly sourceOf: (run: Run) => Promise<{ source: Source; outputs: readonly OutputKey[] } | undefined>;
}

/** What is open during a run. */
export interface Run extends Connection {
  readonly invocation: Invocation<CopySettings>;
  readonly plan: RunPlan;
  readonly bindings: readonly Binding[];
  readonly target: Target;
  readonly lines: LineOptions;
  /** Undefined if the run keeps no state. */
  readonly store: CheckpointStore | undefined;
  /** The state of an earlier run, without the collections that are no longer bound. */
  readonly saved: Checkpoint | undefined;
  readonly collections: readonly CollectionInfo[];
  /** Limits how fast collections are read. */
  readonly throttle: ReadThrottle;
  readonly readers: ReaderPool;
}

/** Runs one copy from beginning to end, and resolves to its exit code. */
export async function runCopy(invocation: Invocation<CopySettings>, plan: RunPlan): Promise<number> {
  const { settings, log } = invocation;
  try {
    const { exitCode, problem } = await copy(invocation, plan);
    return problem === undefined ? exitCode : exitWith(log, problem);
  } catch (error) {
    if (!(error instanceof MongotapError) || error.kind !== "locked" || !settings.skipIfLocked) throw error;
    log.info(`${error.message}: skipped`);
    return 0;
  }
}

async function copy(invocation: Invocation<CopySettings>, plan: RunPlan): Promise<Conclusion> {
  const { settings, log, context } = invocation;
  const { state: statePath, onBadDocument, shard } = settings;
  const bindings = selectBindings(invocation);
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  const target = targetOf(settings.out);
  const envelope = settings.envelope ?? plan.defaultEnvelope;
  const lines = linesOf(invocation, envelope);
  const fingerprint = fingerprintOf(invocation, bindings, target, envelope);

  const lockOptions = { waitMs: settings.waitLock, signal: context.signal, pid: context.pid };
  await using _locks = await lockOutputs(target, { state: statePath, onBadDocument, shard }, lockOptions);

  const found = statePath === undefined ? undefined : await loadMatching(statePath, { ...settings, fingerprint });
  const rebound = found && rebind(found, bindings);
  const saved = rebound?.saved;
  for (const name of rebound ? leftOut(rebound, bindings) : []) {
    log.warn(`${name} is no longer read: it is not among the namespaces of this run`);
  }

  await using connection = await openConnection(invocation, uri);
  const store =
    statePath === undefined ? undefined : openCheckpointStore(statePath, fingerprint, saved, connection.server);

  const known = found?.fingerprint.namespaces ?? [];
  const mayBeMissing = (binding: Binding): boolean => settings.allowMissing || includesBinding(known, binding);
  const resolved = resolveBindings(connection.client, bindings, mayBeMissing);
  const collections = await settledWithin(resolved, context.signal, 0);

  const throttle = throttleOf(connection, settings, log);
  await using readers = createReaderPool({
    connection,
    target: uri,
    lines,
    settings,
    mostChunkBytes: throttle.chunkBytes,
  });

  const opened = { bindings, target, lines, store, saved, collections, throttle, readers };
  const run: Run = { ...connection, ...opened, invocation, plan };
  const wanted = await plan.sourceOf(run);
  if (!wanted) {
    log.warn(await doneAlready(targetText(target), statePath));
    return { isComplete: true, exitCode: 0 };
  }

  await using sink = await sinkOf(run, wanted.outputs);
  return await transfer(run, wanted.source, sink);
}

function sinkOf({ invocation, plan, target, store }: Run, outputs: readonly OutputKey[]): Promise<Sink> {
  const { settings, targets, context } = invocation;
  const { finalizes } = plan;
  return openOutput({
    target,
    marks: store?.marks ?? [],
    finalizes,
    replace: settings.fresh || (settings.state === undefined && finalizes),
    hasState: settings.state !== undefined,
    outputs,
    isComplete: finalizes && settings.shard === undefined,
    targets,
    maxMemory: settings.maxMemory,
    quarantine: quarantineOf(settings),
    context,
  });
}

/** A scheduled run that copies nothing must not look like one that has copied. */
async function doneAlready(output: string, statePath: string | undefined): Promise<string> {
  const savedAt = statePath === undefined ? undefined : await timeOfCheckpoint(statePath);
  const when = savedAt === undefined ? "" : ` by a run that ended at ${savedAt.toISOString().slice(0, 19)}Z`;
  return `everything has been copied already to ${output}${when}: this run copied nothing; --fresh copies it again`;
}

/** Pumps from the source into the sink, and logs a summary. Resolves when the source has ended or the run was stopped. */
async function transfer(run: Run, source: Source, sink: Sink): Promise<Conclusion> {
  const { invocation, plan, target, lines, store } = run;
  const { settings, log, context } = invocation;
  const encoder = createLineEncoder(lines);
  const stats = newStats(performance.now());
  const deadline = deadlineOf(settings.for);
  const signal = deadline ? AbortSignal.any([context.signal, deadline.signal]) : context.signal;
  const output = targetText(target);
  const form = formOf(settings.envelope ?? plan.defaultEnvelope);
  const summary = { stats, encoder, form, output, quarantine: quarantineOf(settings) };
  try {
    const result = await transferLines({
      source,
      limit: settings.limit ?? Infinity,
      from: store?.position,
      encoder,
      sink,
      save:
        store &&
        (async (position, marks) => {
          await store.save(position, marks);
          await sink.onStateSaved();
        }),
      retryForMs: settings.retryFor,
      signal,
      stats,
      log,
      command: invocation.command,
    });
    const mustFinish = settings.until !== undefined || (plan.bounded && settings.state !== undefined);
    const conclusion = conclusionOf(endOf(result, signal), { bounded: plan.bounded, mustFinish, output });
    if (conclusion.isComplete) await finalize(result, sink, store);
    logSummary(log, summary);
    return conclusion;
  } catch (error) {
    // After a failed write it is unknown how much of it the output holds.
    const isUnknown = error instanceof MongotapError && (error.kind === "pipe" || error.kind === "output");
    if (stats.lines > 0 && !isUnknown) logSummary(log, summary);
    throw error;
  } finally {
    deadline?.cancel();
  }
}

/** @throws the reason of `signal` if the run was stopped by something else than a Stop */
function endOf({ outcome }: PumpResult, signal: AbortSignal): RunEnd {
  if (outcome === "finished" || outcome === "limited") return { outcome };
  const stop: unknown = signal.reason;
  if (!(stop instanceof Stop)) throw stop;
  return { outcome, stop };
}

/** Gives complete files their names, and saves that they have them. */
async function finalize({ position }: PumpResult, sink: Sink, store: CheckpointStore | undefined): Promise<void> {
  const marks = await sink.finalize();
  if (!store || !position) return;
  await store.save(position, marks);
  await sink.onStateSaved();
}

function linesOf({ settings, context }: Invocation<CopySettings>, envelope: EnvelopeName): LineOptions {
  const { format, arrays, documents, strict, onBadDocument } = settings;
  return {
    envelope,
    transcoding: { format, documents, strict, ...(arrays === undefined ? {} : { arrays }) },
    onBadDocument: onBadDocument.policy,
    version: context.version,
  };
}

function quarantineOf({ onBadDocument }: CopySettings): string | undefined {
  return onBadDocument.policy === "quarantine" ? onBadDocument.file : undefined;
}

/** With other values of these, a saved position and the marks of the outputs mean nothing. */
function fingerprintOf(
  { command, settings }: Invocation<CopySettings>,
  bindings: readonly Binding[],
  target: Target,
  envelope: EnvelopeName,
): Fingerprint {
  const { fullDocument = "exact", before = "auto", split, shard } = settings;
  return {
    command,
    namespaces: bindings.toSorted((a, b) => (bindingText(a) < bindingText(b) ? -1 : 1)),
    format: settings.format,
    arrays: settings.arrays ?? "as they are",
    documents: settings.documents,
    fullDocument,
    before,
    envelope,
    out: targetText(target),
    split: split === true,
    ...(shard === undefined ? {} : { shard }),
  };
}

/** Aborts with a Stop after `ms`. */
function deadlineOf(ms: number | undefined): { signal: AbortSignal; cancel: () => void } | undefined {
  if (ms === undefined) return undefined;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Stop({ kind: "deadline" })), ms);
  return { signal: controller.signal, cancel: () => clearTimeout(timer) };
}
