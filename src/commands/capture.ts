/** `mongotap capture`: copies collections, then their changes, merged by time; resumable at every step. */

import type { Settings } from "../config/options.ts";
import { captureSource } from "../pipeline/capture.ts";
import { cappedText, collectionsToCopy } from "../run/collections-to-copy.ts";
import { type CommonSettings, runCopy } from "../run/copy.ts";
import { rangeReadableOf, type ReadSettings } from "../run/reader-pool.ts";
import { type ChangeSettings, streamSettings } from "../run/stream.ts";
import type { Command } from "./command.ts";

type CaptureSettings = CommonSettings & ReadSettings & ChangeSettings & Pick<Settings, "onHistoryLost">;

export const capture: Command<CaptureSettings> = (invocation) => {
  const { settings, log } = invocation;
  return runCopy(invocation, {
    defaultEnvelope: "meta",
    finalizes: false,
    bounded: settings.until !== undefined,
    sourceOf: (run) => {
      const bound = { ...run, before: run.saved?.fingerprint.namespaces ?? [] };
      const source = captureSource({
        ...streamSettings(run, invocation),
        collections: async (position, isFirst) => {
          const toCopy = await collectionsToCopy(bound, position, isFirst);
          for (const info of toCopy.filter((c) => c.capped)) log.warn(cappedText(info));
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
