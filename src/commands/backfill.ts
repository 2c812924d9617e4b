/** `mongotap backfill`: what is there now, then ends. */

import { type OpenRun, runCopy } from "../run/copy.ts";
import { backfillSource } from "../pipeline/backfill.ts";
import { isComplete } from "../pipeline/progress.ts";
import { MongotapError } from "../errors.ts";
import { type OutputKey, outputKeyOf } from "../lib/output-key.ts";
import type { CollectionInfo } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import type { Invocation } from "../run/invocation.ts";
import type { Command } from "./command.ts";
import { type Ranges, rangesOf } from "../run/ranges.ts";
import { targetOf } from "../run/output.ts";
import { rangeReadableOf } from "../run/range-readable.ts";

export const backfill: Command = async (invocation) => {
  checkParts(invocation);
  return await runCopy({
    invocation,
    defaultEnvelope: "none",
    seals: true,
    bounded: true,
    async sourceOf(opened) {
      if (isDone(opened)) return undefined;
      const { collections } = opened;
      const ranges = await allRanges(opened, invocation);
      const readables = collections.map((info) => rangeReadableOf(opened, info, ranges.get(nameOf(info.namespace))));
      return { source: backfillSource(readables), outputs: collections.flatMap((info) => outputsOf(info, ranges)) };
    },
  });
};

/** As they stand in the state; of what that does not know, as it is cut now. */
async function allRanges(opened: OpenRun, invocation: Invocation): Promise<Ranges> {
  const { shard, split } = invocation.settings;
  if (!shard && !split) return new Map();
  const { collections, saved } = opened;
  const known = saved?.position.collections ?? {};
  const unknown = collections.filter(({ namespace }) => !(nameOf(namespace) in known));
  const kept = Object.entries(known).map(([name, { ranges }]) => [name, ranges] as const);
  const cut = saved && unknown.length === 0 ? [] : await rangesOf(opened, unknown, invocation);
  return new Map([...kept, ...cut]);
}

/** Returns the outputs of a collection; their files are made at once, so that they are there even if no line comes. */
function outputsOf({ namespace }: CollectionInfo, ranges: Ranges): OutputKey[] {
  const name = nameOf(namespace);
  const own = ranges.get(name);
  return own === undefined
    ? [outputKeyOf(name)]
    : own.flatMap(({ partition }) => (partition === undefined ? [] : [outputKeyOf(name, partition)]));
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
function isDone({ saved, collections }: OpenRun): boolean {
  if (!saved?.outputs.every((mark) => mark.finalized)) return false;
  return collections.every((info) => {
    const progress = saved.position.collections[nameOf(info.namespace)];
    return progress !== undefined && isComplete(progress);
  });
}
