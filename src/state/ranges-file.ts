/**
 * The file that says where collections are cut into ranges, for several processes that each copy a share of them. The
 * first that finds none makes it, as a whole or not at all; it is never changed.
 */

import { createHash, randomBytes } from "node:crypto";
import { link, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { MongotapError } from "../errors.ts";
import { syncDirectory } from "../lib/fs.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";
import { readOwnFile } from "./own-file.ts";

/** How one collection is cut. */
export interface SplitPoints {
  /** Of the collection that was cut: one that was re-created under its name is another. */
  readonly uuid: string | null;
  /** Into how many ranges; there may be fewer keys than that takes, where there are not so many documents. */
  readonly partitions: number;
  /** The keys between the ranges, as a state keeps them (source/record.ts). */
  readonly keys: readonly string[];
}

export interface RangesFile {
  readonly formatVersion: 1;
  /** How many processes share the ranges. */
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
 * Resolves to what the file at `path` says, or to undefined where there is none.
 * @throws MongotapError `state` when it cannot be used
 */
export async function loadRanges(path: string): Promise<RangesFile | undefined> {
  const text = await readOwnFile(path, unusable);
  if (text === undefined) return undefined;
  try {
    const { checksum, ...ranges } = v.parse(schema, JSON.parse(text));
    if (checksum === checksumOf(ranges)) return ranges;
  } catch (error) {
    throw unusable(path, reasonOf(error), error);
  }
  throw unusable(path, "its checksum does not match: it was damaged or changed by hand");
}

/** Keys in another order would not be refused by the server, but asked for again and again. */
function checksumOf(ranges: RangesFile): string {
  return `sha256:${createHash("sha256").update(JSON.stringify(ranges)).digest("hex")}`;
}

function unusable(path: string, why: string, cause?: unknown): MongotapError {
  return new MongotapError("state", `the file ${path}, which says where collections are cut, cannot be used: ${why}`, {
    hint: "Give all shares the file that one of them has made, or a name where there is none yet.",
    cause,
  });
}

/**
 * Resolves to what every process will find at `path`: `ranges`, or what another has put there before.
 * @throws MongotapError `output` when it cannot be written
 */
export async function publishRanges(path: string, ranges: RangesFile): Promise<RangesFile> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString("hex")}.tmp`);
  try {
    const text = `${JSON.stringify({ ...ranges, checksum: checksumOf(ranges) }, null, 1)}\n`;
    await writeFile(temporary, text, { mode: 0o600, flag: "wx", flush: true });
    await link(temporary, path); // unlike a rename it takes nobody's place
    await syncDirectory(dirname(path));
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      throw new MongotapError("output", `cannot write ${path}: ${reasonOf(error)}`, { cause: error });
    }
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the news
  }
  return (await loadRanges(path)) ?? ranges;
}
