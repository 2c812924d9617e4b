/** Into which ranges collections are cut, where each has a file (--split) or a process (--shard) of its own. */

import { createHash } from "node:crypto";
import { resolve } from "node:path";

import type { Settings } from "../config/options.ts";
import { MongotapError } from "../errors.ts";
import { countOf } from "../observe/stats.ts";
import { type Binding, isBoundByName } from "../source/bindings.ts";
import { type CollectionInfo, measure } from "../source/catalog.ts";
import { splitEvenly, documentsIn } from "../source/split-points.ts";
import { nameOf, type RangeProgress } from "../source/record.ts";
import { type SplitPoints, loadRanges, type RangesFile, publishRanges } from "../state/ranges-file.ts";
import type { Invocation } from "./invocation.ts";
import type { Run } from "./copy.ts";

export type RangeSettings = Pick<Settings, "shard" | "split" | "ranges">;

/** By `db.collection`, for each collection that is cut: the ranges that this process reads. */
export type Ranges = ReadonlyMap<string, readonly RangeProgress[]>;

/** About so much BSON goes into one file. */
const BYTES_PER_PART = 256_000_000;
/** Where there is that much to cut at all. */
const LEAST_PARTS = 4;
const MOST_PARTS = 9_999;
const WORTH_CUTTING = 1_000;

/**
 * Cuts the collections of `infos`, of which nothing has been read; the whole of one that has no `_id` index to cut by
 * (views, time series) is one share's.
 * @throws MongotapError `connect`, `auth`, `state` when --ranges names something else, `output` when it cannot be written
 */
export async function rangesOf(
  connection: Pick<Run, "client" | "bindings">,
  infos: readonly CollectionInfo[],
  { settings, log, context }: Pick<Invocation<RangeSettings>, "settings" | "log" | "context">,
): Promise<Ranges> {
  const { shard, split, ranges: path } = settings;
  const shards = shard?.of ?? 1;
  const found = path === undefined ? undefined : await loadRanges(path);
  const cut = async (): Promise<RangesFile> => {
    const collections: Record<string, SplitPoints> = {};
    for (const info of infos.filter(({ type }) => type === "collection")) {
      collections[nameOf(info.namespace)] = await cutsOf(connection, info, { shards, split }, context.signal);
    }
    return { formatVersion: 1, shards, collections };
  };
  const file = found ?? (path === undefined ? await cut() : await publishRanges(resolve(path), await cut()));
  if (path !== undefined) {
    checkMeant(path, file, infos, { shards, bindings: connection.bindings });
    for (const name of laterThan(file, infos)) log.warn(`${name} came after ${path} was made: no share reads it`);
  }
  if (shard) {
    const which = `share ${shard.index}/${shards}: ${countOf(infos.length, "collection")} cut as ${digestOf(file)}`;
    if (path === undefined) {
      log.warn(
        `${which}; every share has to report the same, or documents are missing or twice: --ranges FILE makes sure`,
      );
    } else log.info(`${which}, as ${path} says`);
  }
  const mine = shard?.index ?? 0;
  return new Map(infos.map((info) => [nameOf(info.namespace), ownRanges(info, file, { shards, mine })]));
}

async function cutsOf(
  { client }: Pick<Run, "client">,
  info: CollectionInfo,
  { shards, split }: { readonly shards: number; readonly split: boolean },
  signal: AbortSignal,
): Promise<SplitPoints> {
  const count = await documentsIn(client, info.namespace);
  const wanted = split ? await filesFor(client, info, count) : 1;
  const partitions = shards * Math.ceil(wanted / shards);
  return {
    uuid: info.uuid,
    partitions,
    keys: await splitEvenly(client, info.namespace, { partitions, count }, signal),
  };
}

async function filesFor(client: Run["client"], info: CollectionInfo, count: number): Promise<number> {
  if (count < WORTH_CUTTING) return 1;
  const { bytes } = await measure(client, info);
  return Math.min(MOST_PARTS, Math.max(LEAST_PARTS, Math.ceil((bytes ?? 0) / BYTES_PER_PART)));
}

/** Collections of a database that is bound as a whole: nobody asked for those that were not there. */
function laterThan({ collections }: RangesFile, infos: readonly CollectionInfo[]): string[] {
  const real = infos.filter(({ type }) => type === "collection").map(({ namespace }) => nameOf(namespace));
  return real.filter((name) => !(name in collections));
}

function checkMeant(
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
    const cuts = file.collections[name];
    if (cuts === undefined && isBoundByName(bindings, name)) throw wrong(`does not say where ${name} is cut`);
    if (cuts !== undefined && cuts.uuid !== uuid)
      throw wrong(`is about a ${name} that was dropped or re-created since`);
  }
}

/** The ranges of one share: neighbours, each numbered among all. What is another's is done, as far as we are concerned. */
function ownRanges(
  { namespace, type }: CollectionInfo,
  { collections }: RangesFile,
  { shards, mine }: { readonly shards: number; readonly mine: number },
): readonly RangeProgress[] {
  const name = nameOf(namespace);
  const others: RangeProgress = { documents: 0, done: true };
  const cuts = collections[name];
  if (type === "collection" && cuts === undefined) return [others];
  if (cuts === undefined) {
    const owner = Number.parseInt(digestOf(name), 16) % shards;
    return owner === mine ? [{ documents: 0, done: false, partition: 0 }] : [others];
  }
  const bounds = [undefined, ...cuts.keys, undefined];
  const perShare = cuts.partitions / shards;
  const own = Array.from({ length: cuts.keys.length + 1 }, (_, partition) => partition)
    .filter((partition) => Math.floor(partition / perShare) === mine)
    .map((partition) => rangeOf(partition, bounds[partition], bounds[partition + 1]));
  return own.length === 0 ? [others] : own;
}

function rangeOf(partition: number, from: string | undefined, to: string | undefined): RangeProgress {
  const bounds = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  return { ...bounds, partition, documents: 0, done: false };
}

function digestOf(what: unknown): string {
  return createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 8);
}
