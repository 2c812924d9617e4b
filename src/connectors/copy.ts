/**
 * Copies for a platform: the changes of its streams with what is there, or what is there as a whole. Everything comes from the
 * same source, encoder and pump as in a capture or a backfill; only the state goes to the platform.
 */

import type { Settings } from "../config/options.ts";
import type { Connection } from "../connect/client.ts";
import type { ConnectionString } from "../connect/connection-string.ts";
import { countOf, newStats, type Stats, summaryOf } from "../observe/stats.ts";
import { backfillSource, type RangeReadable } from "../pipeline/backfill.ts";
import { captureSource } from "../pipeline/capture.ts";
import { newestSource } from "../pipeline/newest.ts";
import type { PumpResult } from "../pipeline/pump.ts";
import type { PlatformMessages } from "../protocol/envelopes.ts";
import { createLineEncoder, type LineOptions } from "../protocol/line-encoder.ts";
import type { Encoder } from "../protocol/protocol.ts";
import { cappedText, collectionsToCopy } from "../run/collections-to-copy.ts";
import type { Invocation } from "../run/invocation.ts";
import { type LineForm, logOmissions } from "../run/outcome.ts";
import {
  createReaderPool,
  rangeReadableOf,
  type ReaderPool,
  type ReadingRun,
  type ReadSettings,
  throttleOf,
} from "../run/reader-pool.ts";
import { type ChangeSettings, streamSettings } from "../run/stream.ts";
import { transferLines } from "../run/transfer.ts";
import { wholeReadsOf } from "../run/whole-reads.ts";
import type { Sink } from "../sink/sink.ts";
import { type CollectionInfo, resolveBindings } from "../source/catalog.ts";
import { KEYS_ONLY, NewestChanges, newestEvents } from "../source/newest-events.ts";
import {
  BEGINNING,
  type Binding,
  clusterTime,
  type ClusterTime,
  type CollectionState,
  type EventStream,
  nameOf,
  type Namespace,
  type Position,
  type Source,
  type StreamPosition,
} from "../source/record.ts";
import { dataOf } from "../source/unsent-events.ts";
import type { Resumption } from "../state/stream-state.ts";
import type { Configured } from "./connector-config.ts";

export type CopySettings = ReadSettings &
  Omit<ChangeSettings, "until"> &
  Pick<Settings, "format" | "arrays" | "documents" | "strict" | "onHistoryLost" | "retryFor" | "maxMemory">;

/** What is open. */
export interface PlatformRun {
  readonly invocation: Invocation<CopySettings>;
  readonly connection: Connection;
  readonly target: ConnectionString;
  readonly sink: Sink;
  /** Aborts when the run must end. */
  readonly signal: AbortSignal;
  readonly stats: Stats;
  /** Of the copies that have begun: they know what was left out. */
  readonly encoders: Encoder[];
}

export function platformRun({ invocation, target }: Configured, connection: Connection, sink: Sink): PlatformRun {
  const { signal } = invocation.context;
  return { invocation, connection, target, sink, signal, stats: newStats(performance.now()), encoders: [] };
}

/** What to copy. */
export interface CopyOrder {
  readonly namespaces: readonly Namespace[];
  readonly messages: PlatformMessages;
  readonly from: Resumption;
  /** By how many ms a position is given to the platform at the latest when there are new lines. */
  readonly commitMs: number;
  /** Gives a position to the platform, behind all lines that it covers. */
  readonly save: (position: Position) => Promise<void>;
}

export interface ChangesOrder extends CopyOrder {
  /** What an earlier run has read: collections in it that have no state were dropped, and are not copied. */
  readonly before: readonly Binding[];
  /** Whether the run ends when everything has come that was there at its start. */
  readonly untilCaughtUp: boolean;
}

/** Copies collections and their changes, merged by time. */
export async function copyChanges(run: PlatformRun, order: ChangesOrder): Promise<PumpResult> {
  const { connection, invocation } = run;
  const { settings, log } = invocation;
  const { client, server } = connection;
  const bindings: readonly Binding[] = order.namespaces;
  const collections = await resolveBindings(client, bindings, () => true);
  return await withReaders(run, order, async (reading) => {
    const bound = { client, bindings, collections, before: order.before };
    const until = order.untilCaughtUp ? "caught-up" : undefined;
    const { sentUpTo } = order.from;
    return captureSource({
      ...streamSettings(
        { server, client, bindings, collections },
        { settings: { ...settings, until }, log },
        { outlives: true, sentUpTo },
      ),
      collections: async (position, isFirst) => {
        const toCopy = await collectionsToCopy(bound, position, isFirst);
        for (const info of toCopy.filter((c) => c.capped)) log.warn(cappedText(info));
        return toCopy.map((info) => {
          const isAgain = isCopiedAgain(position.collections[nameOf(info.namespace)], isFirst);
          return rangeReadableOf(isAgain ? { ...reading, readers: reading.ownReaders } : reading, info);
        });
      },
      throttle: reading.throttle,
      onHistoryLost: settings.onHistoryLost,
      onCopyAgain: (error) => log.warn(`${error.message}; copying again`),
    });
  });
}

/** After this number of changed documents the first of two passes ends: each takes about 150 bytes. */
const MOST_CHANGED = 500_000;

/** Copies the changes of collections that have been copied, of each document the newest. */
export async function copyNewest(run: PlatformRun, order: ChangesOrder): Promise<PumpResult> {
  const { connection, invocation } = run;
  const { settings, log } = invocation;
  const { client, server } = connection;
  const bindings: readonly Binding[] = order.namespaces;
  const collections = await resolveBindings(client, bindings, () => true);
  const opened = { server, client, bindings, collections };
  const common = { outlives: true, sentUpTo: order.from.sentUpTo };
  const until = "caught-up";
  return await withReaders(run, order, () => {
    const keysOnly = { ...settings, until, fullDocument: "none", before: "none" } as const;
    const first = streamSettings(opened, { settings: keysOnly, log }, { ...common, stages: KEYS_ONLY });
    const source = newestSource({
      changes: new NewestChanges(),
      mostDocuments: MOST_CHANGED,
      openFirst: first.open,
      openSecond(from, signal, changes) {
        const filter = (stream: EventStream): EventStream => newestEvents(stream, changes);
        const all = { settings: { ...settings, until }, log } as const;
        return streamSettings(opened, all, { ...common, filter }).open(from, signal);
      },
      isBehind: (one, other) => dataOf(one) > dataOf(other),
      onCut: () =>
        log.info(`more than ${countOf(MOST_CHANGED, "document")} have changed: the next read goes on from here`),
    });
    return Promise.resolve(source);
  });
}

/** Where a change stream of collections begins now, and the time that a copy beside it must not be older than. */
export async function pinStream(
  { connection, invocation, signal }: PlatformRun,
  namespaces: readonly Namespace[],
): Promise<{ position: StreamPosition; startsAfter: ClusterTime }> {
  const { client, server } = connection;
  const { settings, log } = invocation;
  const collections = await resolveBindings(client, namespaces, () => true);
  const opened = { server, client, bindings: namespaces, collections };
  const { open } = streamSettings(opened, { settings: { ...settings, until: undefined }, log }, { outlives: true });
  await using stream = await open(undefined, signal);
  const { position, startsAfter } = stream;
  return { position, startsAfter };
}

/**
 * Copies what is there, collection by collection. `collections` are those of the order that exist; no document is older than
 * `notBefore`.
 */
export async function copyWhole(
  run: PlatformRun,
  order: CopyOrder,
  collections: readonly CollectionInfo[],
  notBefore?: ClusterTime,
): Promise<PumpResult> {
  const { invocation } = run;
  return await withReaders(run, order, async (reading) => {
    const settings = { ...invocation.settings, state: undefined };
    const wholeReadOf = await wholeReadsOf(
      { ...reading, position: order.from.position, target: { kind: "stdout" }, isOfPlatform: true },
      { ...invocation, settings },
    );
    const since = notBefore ?? (run.connection.server.topology === "standalone" ? timeNow() : undefined);
    const readables: RangeReadable[] = [];
    for (const info of collections) {
      readables.push(info.type === "collection" ? rangeReadableOf(reading, info) : await wholeReadOf(info));
    }
    return backfillSource(readables.map((readable) => (since === undefined ? readable : readAt(readable, since))));
  });
}

/** By the clock: a standalone server has no cluster time. */
function timeNow(): ClusterTime {
  return clusterTime(Math.floor(Date.now() / 1_000), 0);
}

function readAt(readable: RangeReadable, notBefore: ClusterTime): RangeReadable {
  return {
    ...readable,
    async *read(progress, signal, wanted) {
      for await (const chunk of readable.read(progress, signal, wanted, notBefore)) {
        // Views and time series do not take the time.
        yield chunk.at === BEGINNING ? { ...chunk, at: notBefore } : chunk;
      }
    },
  };
}

interface Reading extends ReadingRun {
  /** These read in this thread, which alone knows what has changed during the run, such as the version of Singer's rows. */
  readonly ownReaders: ReaderPool;
}

/** The copy replaces another, which this run makes void. At its first opening that is what no earlier run has said to be void. */
function isCopiedAgain(state: CollectionState | undefined, isFirst: boolean): boolean {
  if (state?.phase === "stale") return !isFirst || !state.voided;
  return !isFirst && state !== undefined && "copy" in state;
}

/** Opens the readers of a copy, and pumps from the source that `sourceOf` makes of them. */
async function withReaders(
  run: PlatformRun,
  order: CopyOrder,
  sourceOf: (reading: Reading) => Promise<Source>,
): Promise<PumpResult> {
  const { connection, invocation, target, sink, signal, stats } = run;
  const { settings, log } = invocation;
  const throttle = throttleOf(connection, settings, log);
  const lines = linesOf(invocation, order.messages);
  const pool = { connection, target, lines, mostChunkBytes: throttle.chunkBytes };
  await using readers = createReaderPool({ ...pool, settings });
  await using ownReaders = createReaderPool({ ...pool, settings: { ...settings, workers: 1 } });
  const { client, server } = connection;
  const source = await sourceOf({ client, server, throttle, readers, ownReaders });
  const encoder = createLineEncoder(lines);
  run.encoders.push(encoder);
  return await transferLines({
    source,
    limit: Infinity,
    from: order.from.position,
    encoder,
    sink,
    save: (position) => order.save(position),
    commitMs: order.commitMs,
    retryForMs: settings.retryFor,
    signal,
    stats,
    log,
    command: "capture",
  });
}

/**
 * Logs what a run has copied and left out, whichever way it ends: the states have moved past it. `protocol` is its name in
 * messages, `hasColumns` whether it has that setting.
 */
export function logCopies(
  { invocation: { log }, stats, encoders }: PlatformRun,
  protocol: string,
  hasColumns: boolean,
): void {
  if (encoders.length === 0) return; // nothing has begun
  log.info(`sent ${summaryOf(stats, performance.now(), "in brackets")}`);
  const form: LineForm = {
    name: `the protocol of ${protocol}`,
    hasKeysOnly: false,
    hasMarks: false,
    hiding: "leaves out",
    remedy: hasColumns ? "; use columns: data" : "",
    setting: (name, value) => `${name}: ${value}`,
  };
  for (const encoder of encoders) logOmissions(log, { encoder, form, quarantine: undefined });
}

function linesOf({ settings, context }: Invocation<CopySettings>, envelope: PlatformMessages): LineOptions {
  const { format, arrays, documents, strict, onBadDocument } = settings;
  return {
    envelope,
    transcoding: { format, documents, strict, ...(arrays === undefined ? {} : { arrays }) },
    onBadDocument: onBadDocument.policy,
    version: context.version,
  };
}
