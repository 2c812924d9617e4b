/** `mongotap backfill`: what is there now, then ends. */

import { type Opened, runSession } from "./session.ts";
import { backfillSource } from "../pipeline/backfill.ts";
import { isComplete } from "../pipeline/progress.ts";
import { MongotapError } from "../errors.ts";
import { partOf } from "../lib/part-name.ts";
import type { CollectionInfo } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import type { Command, Invocation } from "./command.ts";
import { type Ranges, rangesOf } from "./ranges.ts";
import { targetOf } from "./target.ts";
import { readableOf } from "./readable.ts";

export const backfill: Command = async (invocation) => {
  checkParts(invocation);
  return await runSession({
    invocation,
    defaultEnvelope: "none",
    seals: true,
    bounded: true,
    async sourceOf(opened) {
      if (isDone(opened)) return undefined;
      const { collections, saved } = opened;
      const isKnown = ({ namespace }: CollectionInfo): boolean =>
        nameOf(namespace) in (saved?.position.collections ?? {});
      const ranges = await rangesOf(
        opened,
        collections.filter((info) => !isKnown(info)),
        invocation,
      );
      const readables = collections.map((info) => readableOf(opened, info, ranges.get(nameOf(info.namespace))));
      return { source: backfillSource(readables), outputs: collections.flatMap((info) => outputsOf(info, ranges)) };
    },
  });
};

/** Whose files are made at once, so that they are there even if no line comes. */
function outputsOf({ namespace }: CollectionInfo, ranges: Ranges): string[] {
  const name = nameOf(namespace);
  const cut = ranges.get(name);
  return cut === undefined ? [name] : cut.flatMap(({ part }) => (part === undefined ? [] : [partOf(name, part)]));
}

/** --split and --shard are about files and processes of one backfill. */
function checkParts({ settings }: Invocation): void {
  const { split, shard, ranges, out } = settings;
  if (split && targetOf(out).kind !== "directory") {
    throw new MongotapError("usage", "--split needs a folder to write files into: --out DIR/");
  }
  if (ranges !== undefined && !shard) {
    throw new MongotapError("usage", "--ranges says where shares are cut: it needs --shard I/N");
  }
}

/** Every collection has been read, and every file has its final name. */
function isDone({ saved, collections }: Opened): boolean {
  if (!saved?.outputs.every((mark) => mark.sealed)) return false;
  return collections.every((info) => {
    const progress = saved.position.collections[nameOf(info.namespace)];
    return progress !== undefined && isComplete(progress);
  });
}
