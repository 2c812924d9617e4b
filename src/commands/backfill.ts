/** `mongotap backfill`: the documents that exist now; then the run ends. */

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
  validateOptions(invocation);
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

/** The ranges of the state; a collection that is not in it is split now. */
async function allRanges(opened: OpenRun, invocation: Invocation): Promise<Ranges> {
  const { settings } = invocation;
  if (!settings.shard && !settings.split) return new Map();
  const { collections, saved } = opened;
  const known = saved?.position.collections ?? {};
  const unknown = collections.filter(({ namespace }) => !(nameOf(namespace) in known));
  const kept = Object.entries(known).flatMap(([name, state]) =>
    state.phase === "copying" ? [[name, state.ranges] as const] : [],
  );
  const split = saved && unknown.length === 0 ? [] : await rangesOf(opened, unknown, invocation);
  return new Map([...kept, ...split]);
}

/** Returns the outputs of a collection; their files are made at once, so that they are there even if no line comes. */
function outputsOf({ namespace }: CollectionInfo, ranges: Ranges): OutputKey[] {
  const name = nameOf(namespace);
  const own = ranges.get(name);
  return own === undefined
    ? [outputKeyOf(name)]
    : own.flatMap(({ partition }) => (partition === undefined ? [] : [outputKeyOf(name, partition)]));
}

/** @throws MongotapError `usage` for options that do not fit --split and --shard */
function validateOptions({ settings }: Invocation): void {
  const { split, shard, ranges, out } = settings;
  if (split && targetOf(out).kind !== "directory") {
    throw new MongotapError("usage", "--split needs a folder to write files into: --out DIR/");
  }
  if (ranges !== undefined && !shard) {
    throw new MongotapError("usage", "--ranges says where shares are cut: it needs --shard I/N");
  }
}

/** Every collection has been read, and every output is finalized. */
function isDone({ saved, collections }: OpenRun): boolean {
  if (!saved?.outputs.every((mark) => mark.finalized)) return false;
  return collections.every((info) => {
    const state = saved.position.collections[nameOf(info.namespace)];
    return state?.phase === "copying" && isComplete(state);
  });
}
