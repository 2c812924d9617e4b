/** `mongotap capture`: copies collections, then their changes, merged by time; resumable at every step. */

import type { Settings } from "../config/options.ts";
import { captureSource } from "../pipeline/capture.ts";
import { type CommonSettings, type Run, runCopy } from "../run/copy.ts";
import { rangeReadableOf } from "../run/reader-pool.ts";
import type { ReadSettings } from "../run/reader-pool.ts";
import { type ChangeSettings, streamSettings } from "../run/stream.ts";
import { isBound, isBoundByName } from "../source/bindings.ts";
import type { CollectionInfo } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import type { Command } from "./command.ts";

type CaptureSettings = CommonSettings & ReadSettings & ChangeSettings & Pick<Settings, "onHistoryLost">;

export const capture: Command<CaptureSettings> = (invocation) => {
  const { settings, log } = invocation;
  return runCopy(invocation, {
    defaultEnvelope: "meta",
    finalizes: false,
    bounded: settings.until !== undefined,
    sourceOf: (run) => {
      const toCopy = run.collections.filter((info) => mustBeCopied(run, info));
      for (const info of toCopy.filter((c) => c.capped)) {
        log.warn(
          `${nameOf(info.namespace)} is capped and has no snapshot reads: its copied documents and the changes of the same time are in no certain order`,
        );
      }
      const source = captureSource({
        ...streamSettings(run, invocation),
        collections: toCopy.map((info) => rangeReadableOf(run, info)),
        throttle: run.throttle,
        onHistoryLost: settings.onHistoryLost,
        onCopyAgain: (error) => log.warn(`${error.message}; copying again`),
      });
      return Promise.resolve({ source, outputs: [] });
    },
  });
};

/**
 * Whether to copy a collection. In a database that is bound as a whole, a collection that was created after the position
 * was saved is in the stream from its first document on: a copy would repeat it. But the earlier run may have left it out,
 * because only some collections were named or this one was excluded. Views and time series have no changes.
 */
function mustBeCopied({ bindings, saved }: Run, info: CollectionInfo): boolean {
  if (info.type !== "collection") return false;
  const name = nameOf(info.namespace);
  if (saved === undefined || name in saved.position.collections || isBoundByName(bindings, name)) return true;
  return !isBound(saved.fingerprint.namespaces, info.namespace);
}
