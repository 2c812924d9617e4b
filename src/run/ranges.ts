/** Splits collections into ranges: partitions, each with a file of its own (--split), and shards of several processes. */

import { createHash } from "node:crypto";
import { resolve } from "node:path";

import type { Settings } from "../config/options.ts";
import type { Shard } from "../config/value-schemas.ts";
import { MongotapError } from "../errors.ts";
import { countOf } from "../observe/stats.ts";
import { isBoundByName } from "../source/bindings.ts";
import { type CollectionInfo, measure } from "../source/catalog.ts";
import { splitEvenly, documentsIn } from "../source/split-points.ts";
import { type Binding, nameOf, type NonEmpty, type RangeProgress } from "../source/record.ts";
import { type SplitPoints, loadRanges, type RangesFile, publishRanges } from "../state/ranges-file.ts";
import type { Invocation } from "./invocation.ts";
import type { Run } from "./copy.ts";

export type RangeSettings = Pick<Settings, "shard" | "split" | "ranges">;

/** By `db.collection`: the ranges that this process reads of each collection that is split. */
export type Ranges = ReadonlyMap<string, NonEmpty<RangeProgress>>;

/** About how much BSON one partition holds. */
const PARTITION_BYTES = 256_000_000;
const MIN_PARTITIONS = 4;
const MAX_PARTITIONS = 9_999;
/** A collection of fewer documents is one partition. */
const MIN_DOCUMENTS_TO_SPLIT = 1_000;

/**
 * Splits the collections of `infos`, of which nothing has been read. One that has no `_id` index to split by (a view, a
 * time series) belongs to one shard as a whole.
 * @throws MongotapError `connect`, `auth`, `state` when the file of --ranges is of another backfill, `output` when it
 *   cannot be written
 */
export async function rangesOf(
  connection: Pick<Run, "client" | "bindings">,
  infos: readonly CollectionInfo[],
  { settings, log, context }: Pick<Invocation<RangeSettings>, "settings" | "log" | "context">,
): Promise<Ranges> {
  const { shard, split, ranges: path } = settings;
  const shards = shard?.of ?? 1;
  const found = path === undefined ? undefined : await loadRanges(path);
  const splitNow = async (): Promise<RangesFile> => {
    const collections: Record<string, SplitPoints> = {};
    for (const info of infos.filter(({ type }) => type === "collection")) {
      collections[nameOf(info.namespace)] = await splitPointsOf(connection, info, { shards, split }, context.signal);
    }
    return { formatVersion: 1, shards, collections };
  };
  const file = found ?? (path === undefined ? await splitNow() : await publishRanges(resolve(path), await splitNow()));
  if (path !== undefined) {
    validateFile(path, file, infos, { shards, bindings: connection.bindings });
    for (const name of missingIn(file, infos)) log.warn(`${name} came after ${path} was made: no share reads it`);
  }
  if (shard) {
    const which = `share ${shard.index}/${shards}: ${countOf(infos.length, "collection")} cut as ${digestOf(file)}`;
    if (path === undefined) {
      log.warn(
        `${which}; every share has to report the same, or documents are missing or twice: --ranges FILE makes sure`,
      );
    } else log.info(`${which}, as ${path} says`);
  }
  const own = shard ?? { index: 0, of: 1 };
  return new Map(infos.map((info) => [nameOf(info.namespace), ownRanges(info, file, own)]));
}

/** Each shard gets the same number of partitions, so `partitions` is a multiple of `shards`. */
async function splitPointsOf(
  { client }: Pick<Run, "client">,
  info: CollectionInfo,
  { shards, split }: { readonly shards: number; readonly split: boolean },
  signal: AbortSignal,
): Promise<SplitPoints> {
  const count = await documentsIn(client, info.namespace);
  const wanted = split ? await partitionsFor(client, info, count) : 1;
  const partitions = shards * Math.ceil(wanted / shards);
  return {
    uuid: info.uuid,
    partitions,
    keys: await splitEvenly(client, info.namespace, { partitions, count }, signal),
  };
}

async function partitionsFor(client: Run["client"], info: CollectionInfo, count: number): Promise<number> {
  if (count < MIN_DOCUMENTS_TO_SPLIT) return 1;
  const { bytes } = await measure(client, info);
  return Math.min(MAX_PARTITIONS, Math.max(MIN_PARTITIONS, Math.ceil((bytes ?? 0) / PARTITION_BYTES)));
}

/** The collections that are not in the file: they were created in a database that is bound as a whole. */
function missingIn({ collections }: RangesFile, infos: readonly CollectionInfo[]): string[] {
  const real = infos.filter(({ type }) => type === "collection").map(({ namespace }) => nameOf(namespace));
  return real.filter((name) => !(name in collections));
}

/** @throws MongotapError `state` when the file is of another backfill */
function validateFile(
  path: string,
  file: RangesFile,
  infos: readonly CollectionInfo[],
  { shards, bindings }: { readonly shards: number; readonly bindings: readonly Binding[] },
): void {
  const wrong = (what: string): MongotapError =>
    new MongotapError("state", `${path} ${what}`, {
      hint: "All shares of one backfill need the same file and the same --shard …/n; name a new file for a new backfill.",
    });
  if (file.shards !== shards) throw wrong(`cuts for ${file.shards} shares, not ${shards}`);
  for (const { namespace, uuid, type } of infos) {
    if (type !== "collection") continue;
    const name = nameOf(namespace);
    const points = file.collections[name];
    if (points === undefined && isBoundByName(bindings, name)) throw wrong(`does not say where ${name} is cut`);
    if (points !== undefined && points.uuid !== uuid)
      throw wrong(`is about a ${name} that was dropped or re-created since`);
  }
}

/** The neighbouring ranges of shard `index`, each with its partition number among those of all shards. */
function ownRanges(
  { namespace, type }: CollectionInfo,
  { collections }: RangesFile,
  { index, of }: Shard,
): NonEmpty<RangeProgress> {
  const name = nameOf(namespace);
  const ofOthers: RangeProgress = { documents: 0, done: true };
  const points = collections[name];
  if (type === "collection" && points === undefined) return [ofOthers];
  if (points === undefined) {
    const owner = Number.parseInt(digestOf(name), 16) % of;
    return owner === index ? [{ documents: 0, done: false, partition: 0 }] : [ofOthers];
  }
  const bounds = [undefined, ...points.keys, undefined];
  const perShard = points.partitions / of;
  const [first, ...rest] = Array.from({ length: points.keys.length + 1 }, (_, partition) => partition)
    .filter((partition) => Math.floor(partition / perShard) === index)
    .map((partition) => rangeOf(partition, bounds[partition], bounds[partition + 1]));
  return first === undefined ? [ofOthers] : [first, ...rest];
}

function rangeOf(partition: number, from: string | undefined, to: string | undefined): RangeProgress {
  const bounds = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  return { ...bounds, partition, documents: 0, done: false };
}

/** 8 hex digits. */
function digestOf(what: unknown): string {
  return createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 8);
}
