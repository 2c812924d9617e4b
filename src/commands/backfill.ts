/** `mongotap backfill`: copies the documents of collections, then ends. */

import { MongotapError } from "../errors.ts";
import { type OutputKey, outputKeyOf } from "../lib/output-key.ts";
import { backfillSource, type RangeReadable } from "../pipeline/backfill.ts";
import { isComplete } from "../pipeline/position.ts";
import { type CommonSettings, type Run, runCopy } from "../run/copy.ts";
import type { Invocation } from "../run/invocation.ts";
import { targetOf } from "../run/output.ts";
import { rangeReadableOf, type ReadSettings } from "../run/reader-pool.ts";
import { type RangeSettings, type Ranges, rangesOf } from "../run/ranges.ts";
import { wholeReadsOf } from "../run/whole-reads.ts";
import type { CollectionInfo } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import type { Command } from "./command.ts";

type BackfillSettings = CommonSettings & ReadSettings & RangeSettings;

export const backfill: Command<BackfillSettings> = async (invocation) => {
  checkSettings(invocation.settings);
  return await runCopy(invocation, {
    defaultEnvelope: "none",
    finalizes: true,
    bounded: true,
    async sourceOf(run) {
      if (isDone(run)) return undefined;
      const ranges = await allRanges(run, invocation);
      const wholeReadOf = await wholeReadsOf({ ...run, position: run.saved?.position }, invocation);
      const readables: RangeReadable[] = [];
      for (const info of run.collections) {
        const own = ranges.get(nameOf(info.namespace));
        const isIndexed = info.type === "collection";
        readables.push(isIndexed ? rangeReadableOf(run, info, own) : await wholeReadOf(info, own));
      }
      return { source: backfillSource(readables), outputs: run.collections.flatMap((info) => outputsOf(info, ranges)) };
    },
  });
};

/** The ranges of the state; a collection that is not in it is split now. */
async function allRanges(run: Run, invocation: Invocation<BackfillSettings>): Promise<Ranges> {
  const { shard, split } = invocation.settings;
  if (!shard && !split) return new Map();
  const { collections, saved } = run;
  const known = saved?.position.collections ?? {};
  const unknown = collections.filter(({ namespace }) => !(nameOf(namespace) in known));
  const kept = Object.entries(known).flatMap(([name, state]) =>
    state.phase === "copying" ? [[name, state.ranges] as const] : [],
  );
  const added = saved && unknown.length === 0 ? [] : await rangesOf(run, unknown, invocation);
  return new Map([...kept, ...added]);
}

/** Returns the outputs of a collection; their files are made at once, so that they are there even if no line comes. */
function outputsOf({ namespace }: CollectionInfo, ranges: Ranges): OutputKey[] {
  const name = nameOf(namespace);
  const own = ranges.get(name);
  return own === undefined
    ? [outputKeyOf(name)]
    : own.flatMap(({ partition }) => (partition === undefined ? [] : [outputKeyOf(name, partition)]));
}

/** @throws MongotapError `usage` for --split without a folder, and for --ranges without --shard */
function checkSettings({ split, shard, ranges, out }: BackfillSettings): void {
  if (split && targetOf(out).kind !== "directory") {
    throw new MongotapError("usage", "--split needs a folder to write files into: --out DIR/");
  }
  if (ranges !== undefined && !shard) {
    throw new MongotapError("usage", "--ranges says where shares are cut: it needs --shard I/N");
  }
}

/** Every collection has been read, and every output is finalized. */
function isDone({ saved, collections }: Run): boolean {
  if (!saved?.outputs.every((mark) => mark.finalized)) return false;
  return collections.every((info) => {
    const state = saved.position.collections[nameOf(info.namespace)];
    return state?.phase === "copying" && isComplete(state);
  });
}
