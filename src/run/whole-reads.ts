/** How views and time series are read, and what an interruption costs there: both have no `_id` index. */

import type { Settings } from "../config/options.ts";
import type { Logger } from "../observe/log.ts";
import type { RangeReadable } from "../pipeline/backfill.ts";
import { type Buckets, bucketsOf, findBuckets, readBuckets } from "../source/buckets.ts";
import { type CollectionInfo, collectionUuid } from "../source/catalog.ts";
import { type CollectionState, nameOf, type NonEmpty, type Position, type RangeProgress } from "../source/record.ts";
import { createScan } from "../source/scan.ts";
import { headOfChunk } from "../source/snapshot.ts";
import type { Invocation } from "./invocation.ts";
import { canRollBack, targetText } from "./output.ts";
import type { Run } from "./copy.ts";
import type { ReadingRun } from "./reader-pool.ts";

/** What follows from an interruption in the middle of a read that has no place to go on from. */
interface Consequences {
  /** After an error of the connection, the output is cut back and the read is repeated. */
  readonly repeatable: boolean;
  /** The next run goes on where this one was interrupted, but not within such a read. */
  readonly keepsState: boolean;
  /** The output, as messages name it; undefined for that of a platform, whose users know of none. */
  readonly output: string | undefined;
}

interface ReadRun extends ReadingRun, Pick<Run, "target"> {
  /** The platform reads standard output. */
  readonly isOfPlatform?: boolean;
  /** Where the run begins. */
  readonly position: Position | undefined;
}

/**
 * Returns a function that makes a view or a time series readable. It says in one line where an interruption costs more than
 * that of a collection, before anything is read.
 */
export async function wholeReadsOf(
  run: ReadRun,
  { settings, log, context }: Invocation<Pick<Settings, "onBadDocument" | "state" | "retryFor">>,
): Promise<(info: CollectionInfo, ranges?: NonEmpty<RangeProgress>) => Promise<RangeReadable>> {
  const { onBadDocument, state, retryFor } = settings;
  const quarantine = onBadDocument.policy === "quarantine" ? onBadDocument.file : undefined;
  const named = run.target.kind === "stdout" ? "standard output" : targetText(run.target);
  const output = run.isOfPlatform === true ? undefined : named;
  const consequences = {
    repeatable: retryFor > 0 && (await canRollBack(run.target, quarantine)),
    keepsState: state !== undefined,
    output,
  };
  return async (info, ranges) => {
    const known = run.position?.collections[nameOf(info.namespace)];
    const how = info.type === "timeseries" ? await bucketsFor(run, info, known, context.signal) : { why: "" };
    if ("unpack" in how) return bucketReadable(run, info, how, ranges);
    if (!isCopied(known) && !isOfOthers(ranges)) tell(log, info, how.why, consequences);
    return scanReadable(run, info, consequences.repeatable, ranges);
  };
}

function isCopied(state: CollectionState | undefined): boolean {
  return state?.phase === "copying" && state.ranges.every(({ done }) => done);
}

/** Another shard reads it. */
function isOfOthers(ranges: NonEmpty<RangeProgress> | undefined): boolean {
  return ranges?.every(({ done }) => done) === true;
}

/** What has begun by bucket goes on by bucket: a state with the UUID of the buckets says so. */
async function bucketsFor(
  { client, server }: ReadRun,
  info: CollectionInfo,
  known: CollectionState | undefined,
  signal: AbortSignal,
): ReturnType<typeof findBuckets> {
  if (known?.phase === "copying" && known.uuid === null) return { why: "its copy began so" };
  return await findBuckets(client, info, server.version, signal);
}

function tell(
  log: Logger,
  { namespace, type }: CollectionInfo,
  why: string,
  { repeatable, keepsState, output }: Consequences,
): void {
  const what = `${nameOf(namespace)} is ${type === "view" ? "a view" : `read as a whole, because ${why}`}`;
  if (output === undefined) {
    log.info(`${what}: if the connection breaks, the run ends, and the next one copies it from the beginning`);
  } else if (!repeatable) {
    log.warn(`${what}: if the connection breaks, its copy on ${output} cannot go on, and the run ends`);
  } else if (keepsState) log.info(`${what}: a copy of it that is interrupted begins again with its first document`);
  else if (type !== "view") log.info(`${what}: if the connection breaks, its copy begins again`);
}

function scanReadable(
  { client, server, throttle, readers }: ReadingRun,
  info: CollectionInfo,
  repeatable: boolean,
  ranges?: NonEmpty<RangeProgress>,
): RangeReadable {
  const standalone = server.topology === "standalone";
  const scan = createScan({ client, info, standalone, chunkBytes: readers.chunkBytes, repeatable });
  return {
    namespace: info.namespace,
    uuid: info.uuid,
    ranges,
    read: (_progress, signal, wanted) => throttle.throttled(scan(signal, wanted), signal),
    head: (chunk, count) => headOfChunk(chunk, count, false),
    currentUuid: () => collectionUuid(client, info.namespace),
  };
}

function bucketReadable(
  { client, server, throttle, readers }: ReadingRun,
  { namespace }: CollectionInfo,
  buckets: Buckets,
  ranges?: NonEmpty<RangeProgress>,
): RangeReadable {
  const standalone = server.topology === "standalone";
  const settings = { client, standalone, chunkBytes: readers.chunkBytes, namespace, buckets };
  return {
    namespace,
    uuid: buckets.uuid,
    ranges,
    read: (progress, signal) => throttle.throttled(readBuckets(settings, progress, signal), signal),
    head: (chunk, count) => headOfChunk(chunk, count, false),
    currentUuid: () => collectionUuid(client, bucketsOf(namespace)),
  };
}
