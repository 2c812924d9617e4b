/**
 * What backfill, tail and capture have in common: lock and state, connection, output, and the pump between them,
 * opened in this order and closed in the other. Each command says only what it reads.
 */

import { connectionStringOf } from "../config/source.ts";
import type { Connection } from "../connect/client.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { MongotapError } from "../errors.ts";
import { settledWithin } from "../lib/async.ts";
import type { OutputKey } from "../lib/output-key.ts";
import { Stop } from "../lib/process.ts";
import { countBatch, countOf, newStats, type Stats, summaryOf } from "../observe/stats.ts";
import type { ReadThrottle } from "../pipeline/throttle.ts";
import { pump, type PumpResult } from "../pipeline/pump.ts";
import { take } from "../pipeline/take.ts";
import { type EnvelopeName, ENVELOPES } from "../protocol/envelopes.ts";
import { createLineEncoder, type LineOptions } from "../protocol/line-encoder.ts";
import type { Encoder } from "../protocol/protocol.ts";
import { bindingText, includesBinding } from "../source/bindings.ts";
import { type CollectionInfo, resolveBindings } from "../source/catalog.ts";
import type { Binding, Source } from "../source/record.ts";
import type { Checkpoint, Fingerprint } from "../state/checkpoint.ts";
import type { Sink } from "../sink/sink.ts";
import { selectBindings } from "./selection.ts";
import type { Invocation } from "./invocation.ts";
import { openCheckpointStore, type CheckpointStore, loadMatching, withoutUnbound } from "./checkpoint-store.ts";
import { lockOutputs } from "./locks.ts";
import { throttleOf } from "./reader-pool.ts";
import { type ReaderPool, createReaderPool } from "./reader-pool.ts";
import { openOutput, type Target, targetOf, targetText } from "./output.ts";
import { openConnection } from "./connection.ts";

/** What a command knows when it says what to read. */
export interface OpenRun extends Connection {
  readonly bindings: readonly Binding[];
  readonly collections: readonly CollectionInfo[];
  /** By which collections are read. */
  readonly throttle: ReadThrottle;
  readonly readers: ReaderPool;
  /** What an earlier run on the same state has left. */
  readonly saved: Checkpoint | undefined;
}

export interface RunSource {
  readonly source: Source;
  /** Their files are made at once, in a directory. */
  readonly outputs: readonly OutputKey[];
}

export interface CopyPlan {
  readonly invocation: Invocation;
  readonly defaultEnvelope: EnvelopeName;
  /** The output is complete when the source ends: backfill. */
  readonly seals: boolean;
  /** Whether the run is meant to come to an end of its own: being stopped before that is told by the exit code. */
  readonly bounded: boolean;
  /** Resolves to what to read; undefined when an earlier run has read it all. */
  readonly sourceOf: (opened: OpenRun) => Promise<RunSource | undefined>;
}

/** Everything about a run that is decided before the server is asked. */
interface Prepared {
  readonly plan: CopyPlan;
  readonly uri: ConnectionString;
  readonly bindings: readonly Binding[];
  readonly target: Target;
  readonly envelope: EnvelopeName;
}

/** Runs one copy from beginning to end and resolves to its exit code. */
export async function runCopy(plan: CopyPlan): Promise<number> {
  const { settings, log, context } = plan.invocation;
  const bindings = selectBindings(plan.invocation);
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  const envelope = ENVELOPES.find((name) => name === settings.envelope) ?? plan.defaultEnvelope;
  const prepared: Prepared = { plan, uri, bindings, target: targetOf(settings.out), envelope };
  try {
    const lockOptions = { waitMs: settings.waitLock, signal: context.signal, pid: context.pid };
    await using _locks = await lockOutputs(prepared.target, settings, lockOptions);
    return await copy(prepared, settings.state);
  } catch (error) {
    if (!(error instanceof MongotapError) || error.kind !== "locked" || !settings.skipIfLocked) throw error;
    log.info(`${error.message}: skipped`);
    return 0;
  }
}

async function copy(prepared: Prepared, statePath: string | undefined): Promise<number> {
  const { plan, uri, bindings, target } = prepared;
  const { settings, log, context } = plan.invocation;
  const fingerprint = fingerprintOf(prepared);
  const found = statePath === undefined ? undefined : await loadMatching(statePath, { ...settings, fingerprint });
  const saved = found && withoutUnbound(found, bindings);
  await using connection = await openConnection(plan.invocation, uri);
  const keeping =
    statePath === undefined ? undefined : openCheckpointStore(statePath, fingerprint, saved, connection.server);
  const known = found?.fingerprint.namespaces ?? [];
  const mayBeMissing = (binding: Binding): boolean => settings.allowMissing || includesBinding(known, binding);
  const resolved = resolveBindings(connection.client, bindings, mayBeMissing);
  const collections = await settledWithin(resolved, context.signal, 0);
  const throttle = throttleOf(connection, plan.invocation);
  const lines = linesOf(prepared);
  await using readers = createReaderPool({
    connection,
    target: uri,
    lines,
    settings,
    mostChunkBytes: throttle.chunkBytes,
  });
  const reading = await plan.sourceOf({ ...connection, bindings, collections, saved, throttle, readers });
  if (!reading) {
    log.info(`everything has been copied already to ${targetText(target)}; --fresh copies it again`);
    return 0;
  }
  await using sink = await openOutput({
    target,
    marks: keeping?.marks ?? [],
    finalizes: plan.seals,
    replace: settings.fresh || (statePath === undefined && plan.seals),
    hasState: statePath !== undefined,
    outputs: reading.outputs,
    isComplete: plan.seals && settings.shard === undefined,
    targets: plan.invocation.targets,
    maxMemory: settings.maxMemory,
    quarantine: settings.onBadDocument.policy === "quarantine" ? settings.onBadDocument.file : undefined,
    context,
  });
  return await transfer(prepared, { source: reading.source, sink, keeping, lines });
}

interface Transfer {
  readonly source: Source;
  readonly sink: Sink;
  readonly keeping: CheckpointStore | undefined;
  readonly lines: LineOptions;
}

/** From the source into the sink until one of them ends it, and what is said of it. */
async function transfer(prepared: Prepared, { source, sink, keeping, lines }: Transfer): Promise<number> {
  const { settings, log, context } = prepared.plan.invocation;
  const encoder = createLineEncoder(lines);
  const stats = newStats(performance.now());
  const deadline = deadlineOf(settings.for);
  const signal = deadline ? AbortSignal.any([context.signal, deadline.signal]) : context.signal;
  try {
    const result = await pump({
      source: take(source, settings.limit ?? Infinity),
      from: keeping?.position,
      encoder,
      sink,
      save:
        keeping &&
        (async (position, marks) => {
          await keeping.save(position, marks);
          await sink.onStateSaved();
        }),
      retryForMs: settings.retryFor,
      signal,
      onWritten: (batch, lines, bytes) => countBatch(stats, batch, lines, bytes),
      onRetry: (error, waitMs) => log.warn(`${error.message}; trying again in ${waitMs} ms`),
    });
    if (isWhole(prepared, result)) await finish(result, sink, keeping);
    logSummary(prepared, stats, encoder);
    return conclude(prepared, result, signal);
  } catch (error) {
    // After a failed write nobody knows what of it is in the output.
    const isUnknown = error instanceof MongotapError && (error.kind === "pipe" || error.kind === "output");
    if (stats.lines > 0 && !isUnknown) logSummary(prepared, stats, encoder);
    throw error;
  } finally {
    deadline?.cancel();
  }
}

function linesOf({ plan, envelope }: Prepared): LineOptions {
  const { settings, context } = plan.invocation;
  const { format, arrays, documents, strict } = settings;
  return {
    envelope,
    transcoding: { format, documents, strict, ...(arrays === undefined ? {} : { arrays }) },
    onBadDocument: settings.onBadDocument.policy,
    version: context.version,
  };
}

/** The source came to its end: finished files get their names, and the state learns of it. */
async function finish({ position }: PumpResult, sink: Sink, keeping: CheckpointStore | undefined): Promise<void> {
  const marks = await sink.finalize();
  if (!keeping || !position) return;
  await keeping.save(position, marks);
  await sink.onStateSaved();
}

/** Whether all is there that was asked for: to the end, or, where nobody speaks of an end, as much as `--limit` says. */
function isWhole({ plan }: Prepared, { outcome }: PumpResult): boolean {
  const { until, state } = plan.invocation.settings;
  const wantsTheEnd = until !== undefined || (plan.bounded && state !== undefined);
  return outcome === "finished" || (outcome === "limited" && !wantsTheEnd);
}

/** The exit code of a run that ended without an error. */
function conclude(prepared: Prepared, result: PumpResult, signal: AbortSignal): number {
  if (isWhole(prepared, result)) return 0;
  const { plan, target } = prepared;
  const { outcome } = result;
  if (outcome === "limited") throw new MongotapError("limit", "--limit came before the end was reached");
  const reason: unknown = signal.reason;
  if (!(reason instanceof Stop)) throw reason;
  const stop = reason.reason;
  if (outcome === "cut") {
    if (stop.kind === "signal") return 128 + stop.number;
    throw new MongotapError("limit", `the reader of ${targetText(target)} takes no more and the time is over`);
  }
  if (!plan.bounded) return 0;
  throw new MongotapError("limit", `${reason.message} before the end was reached`);
}

/** What was done, and what had to be left out: said at the end of every run, also of a failed one. */
function logSummary({ plan, target, envelope }: Prepared, stats: Stats, encoder: Encoder): void {
  const { log } = plan.invocation;
  log.info(
    `${summaryOf(stats, performance.now())} → ${target.kind === "stdout" ? "standard output" : targetText(target)}`,
  );
  const { deletes, missingDocuments, unknownEvents, invalidUtf8, badDocuments } = encoder.omissions;
  if (deletes > 0) log.warn(`${countOf(deletes, "delete")} left out: --envelope ${envelope} cannot show them`);
  if (missingDocuments > 0) {
    const what = envelope === "none" ? "left out" : "written without a document";
    log.warn(`${countOf(missingDocuments, "update")} ${what}: the document was gone when the server looked it up`);
  }
  for (const [kind, count] of unknownEvents)
    log.warn(`${countOf(count, "event")} of the unknown kind ${JSON.stringify(kind)} left out`);
  if (badDocuments > 0) {
    const { onBadDocument } = plan.invocation.settings;
    const fate = onBadDocument.policy === "quarantine" ? `put into ${onBadDocument.file}` : "left out";
    log.warn(`${countOf(badDocuments, "document")} that cannot be carried: ${fate}`);
  }
  if (invalidUtf8 > 0)
    log.warn(`${countOf(invalidUtf8, "string")} with invalid UTF-8: written with U+FFFD in its place`);
}

/** With other values of these, a saved position and the marks of the outputs mean nothing. */
function fingerprintOf({ plan, bindings, target, envelope }: Prepared): Fingerprint {
  const { command, settings } = plan.invocation;
  return {
    command,
    namespaces: bindings.toSorted((a, b) => (bindingText(a) < bindingText(b) ? -1 : 1)),
    format: settings.format,
    arrays: settings.arrays ?? "as they are",
    documents: settings.documents,
    fullDocument: settings.fullDocument,
    before: settings.before,
    envelope,
    out: targetText(target),
    split: settings.split,
    ...(settings.shard ? { shard: settings.shard } : {}),
  };
}

/** Aborts with a Stop when the time is over. */
function deadlineOf(ms: number | undefined): { signal: AbortSignal; cancel: () => void } | undefined {
  if (ms === undefined) return undefined;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Stop({ kind: "deadline" })), ms);
  return { signal: controller.signal, cancel: () => clearTimeout(timer) };
}
