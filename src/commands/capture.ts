/** `mongotap capture`: the documents that exist now and the changes from here on, merged by time; resumable. */

import { captureSource } from "../pipeline/capture.ts";
import { isBound, isBoundByName } from "../source/bindings.ts";
import type { CollectionInfo } from "../source/catalog.ts";
import { nameOf } from "../source/record.ts";
import type { Command } from "./command.ts";
import { rangeReadableOf } from "../run/range-readable.ts";
import { type OpenRun, runCopy } from "../run/copy.ts";
import { streamSettings } from "../run/stream.ts";

export const capture: Command = (invocation) => {
  const { settings, log } = invocation;
  return runCopy({
    invocation,
    defaultEnvelope: "meta",
    seals: false,
    bounded: settings.until !== undefined,
    sourceOf: (opened) => {
      const toCopy = opened.collections.filter((info) => isToBeCopied(opened, info));
      for (const info of toCopy.filter((c) => c.capped)) {
        log.warn(
          `${nameOf(info.namespace)} is capped and has no snapshot reads: its copied documents and the changes of the same time are in no certain order`,
        );
      }
      const collections = toCopy.map((info) => rangeReadableOf(opened, info));
      const source = captureSource({
        ...streamSettings(opened, invocation),
        collections,
        throttle: opened.throttle,
        onHistoryLost: settings.onHistoryLost,
        onCopyAgain: (error) => log.warn(`${error.message}; copying again`),
      });
      return Promise.resolve({ source, outputs: [] });
    },
  });
};

/**
 * A collection that was created in a database bound as a whole, after the position was pinned, is in the stream from its
 * first document on: a copy would repeat it. One that was not bound in the earlier run is to be copied. Views and time
 * series have no change stream.
 */
function isToBeCopied({ bindings, saved }: OpenRun, info: CollectionInfo): boolean {
  if (info.type !== "collection") return false;
  const name = nameOf(info.namespace);
  if (saved === undefined || name in saved.position.collections || isBoundByName(bindings, name)) return true;
  return !isBound(saved.fingerprint.namespaces, info.namespace);
}
