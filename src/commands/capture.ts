/** `mongotap capture`: copies collections, then their changes, merged by time; resumable at every step. */

import type { Settings } from "../config/options.ts";
import { captureSource } from "../pipeline/capture.ts";
import { isAllLive } from "../pipeline/position.ts";
import { type CommonSettings, type Run, runCopy } from "../run/copy.ts";
import { rangeReadableOf, type ReadSettings } from "../run/reader-pool.ts";
import { type ChangeSettings, streamSettings } from "../run/stream.ts";
import { isBound } from "../source/bindings.ts";
import { type CollectionInfo, resolveBindings } from "../source/catalog.ts";
import { nameOf, type Position } from "../source/record.ts";
import type { Command } from "./command.ts";

type CaptureSettings = CommonSettings & ReadSettings & ChangeSettings & Pick<Settings, "onHistoryLost">;

export const capture: Command<CaptureSettings> = (invocation) => {
  const { settings, log } = invocation;
  return runCopy(invocation, {
    defaultEnvelope: "meta",
    finalizes: false,
    bounded: settings.until !== undefined,
    sourceOf: (run) => {
      const source = captureSource({
        ...streamSettings(run, invocation),
        collections: async (position, isFirst) => {
          const toCopy = await collectionsToCopy(run, position, isFirst);
          for (const info of toCopy.filter((c) => c.capped)) {
            log.warn(
              `${nameOf(info.namespace)} is capped and has no snapshot reads: its copied documents and the changes of the same time are in no certain order`,
            );
          }
          return toCopy.map((info) => rangeReadableOf(run, info));
        },
        throttle: run.throttle,
        onHistoryLost: settings.onHistoryLost,
        onCopyAgain: (error) => log.warn(`${error.message}; copying again`),
      });
      return Promise.resolve({ source, outputs: [] });
    },
  });
};

/**
 * The collections to copy from a position on. A stream that begins now has nothing of what exists; the catalog is read behind
 * its beginning, so that no collection is in neither. A stream that goes on has every collection that was created behind the
 * position, so a copy would repeat it; but an earlier run may have left one out, because only some collections were named
 * or this one was excluded. Views and time series have no changes.
 */
async function collectionsToCopy(run: Run, position: Position, isFirst: boolean): Promise<CollectionInfo[]> {
  const { bindings, saved, client } = run;
  const goesOn = position.stream !== undefined;
  const before = saved?.fingerprint.namespaces ?? [];
  const mustBeCopied = ({ type, namespace }: CollectionInfo): boolean => {
    if (type !== "collection") return false;
    const state = position.collections[nameOf(namespace)];
    if (state !== undefined) return state.phase !== "live";
    return !goesOn || (isFirst && !isBound(before, namespace));
  };
  if (goesOn && isFirst) return run.collections.filter(mustBeCopied);
  if (goesOn && isAllLive(position)) return [];
  return (await resolveBindings(client, bindings, () => true)).filter(mustBeCopied);
}
