/** `mongotap tail`: copies changes as they happen, until it is stopped. */

import type { Settings } from "../config/options.ts";
import { tailSource } from "../pipeline/tail.ts";
import { type CommonSettings, runCopy } from "../run/copy.ts";
import { type ChangeSettings, streamSettings } from "../run/stream.ts";
import type { Command } from "./command.ts";

type TailSettings = CommonSettings & ChangeSettings & Pick<Settings, "startAt">;

export const tail: Command<TailSettings> = (invocation) => {
  const { until, startAt } = invocation.settings;
  return runCopy(invocation, {
    defaultEnvelope: "meta",
    finalizes: false,
    bounded: until !== undefined,
    sourceOf: (run) =>
      Promise.resolve({ source: tailSource(streamSettings(run, invocation, { startAt })), outputs: [] }),
  });
};
