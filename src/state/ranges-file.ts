/**
 * The file of the split points of collections, for several processes that each copy one shard of the ranges. The first
 * process that finds none creates it; it is never changed.
 */

import * as v from "valibot";
import { MongotapError } from "../errors.ts";
import { checksumOf, createFile } from "../lib/atomic-file.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";
import { readTrustedFile } from "./trusted-file.ts";

/** How one collection is split into ranges. */
export interface SplitPoints {
  /** Of the collection that was split: one that was re-created under its name has another. */
  readonly uuid: string | null;
  /** How many ranges were wanted. A small collection has fewer, and so fewer keys than `partitions` - 1. */
  readonly partitions: number;
  /** The keys between the ranges, in ascending order, encoded as those of RangeProgress (source/record.ts). */
  readonly keys: readonly string[];
}

export interface RangesFile {
  readonly formatVersion: 1;
  /** How many processes the ranges are for. */
  readonly shards: number;
  /** By `db.collection`. */
  readonly collections: Readonly<Record<string, SplitPoints>>;
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const schema = v.strictObject({
  formatVersion: v.literal(1),
  shards: count,
  collections: v.record(
    v.string(),
    v.strictObject({ uuid: v.nullable(v.string()), partitions: count, keys: v.array(v.string()) }),
  ),
  checksum: v.string(),
}) satisfies v.GenericSchema<RangesFile>;

/**
 * Resolves to the content of the file at `path`, or to undefined where there is none.
 * @throws MongotapError `state` when it is damaged or not ours (trusted-file.ts)
 */
export async function loadRanges(path: string): Promise<RangesFile | undefined> {
  const text = await readTrustedFile(path, unusable);
  if (text === undefined) return undefined;
  try {
    const { checksum, ...ranges } = v.parse(schema, JSON.parse(text));
    if (checksum === checksumOfRanges(ranges)) return ranges;
  } catch (error) {
    throw unusable(path, reasonOf(error), error);
  }
  throw unusable(path, "its checksum does not match: it was damaged or changed by hand");
}

/** Of keys in another order too: the server does not refuse such ranges, a run would ask for them again and again. */
function checksumOfRanges(ranges: RangesFile): string {
  return checksumOf(JSON.stringify(ranges));
}

function unusable(path: string, why: string, cause?: unknown): MongotapError {
  return new MongotapError("state", `the file ${path}, which says where collections are cut, cannot be used: ${why}`, {
    hint: "Give all shares the file that one of them has made, or a name where there is none yet.",
    cause,
  });
}

/**
 * Resolves to what every process finds at `path` from now on: `ranges`, or what another process has put there before.
 * @throws MongotapError `output` when it cannot be written, `state` when what is there cannot be used
 */
export async function publishRanges(path: string, ranges: RangesFile): Promise<RangesFile> {
  try {
    await createFile(path, `${JSON.stringify({ ...ranges, checksum: checksumOfRanges(ranges) }, null, 1)}\n`);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      throw new MongotapError("output", `cannot write ${path}: ${reasonOf(error)}`, { cause: error });
    }
  }
  return (await loadRanges(path)) ?? ranges;
}
