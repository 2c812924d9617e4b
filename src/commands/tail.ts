/** `mongotap tail`: what changes from here on, until stopped. */

import { tailSource } from "../pipeline/tail.ts";
import type { Command } from "./command.ts";
import { runCopy } from "../run/copy.ts";
import { streamSettings } from "../run/stream.ts";

export const tail: Command = (invocation) => {
  const { settings } = invocation;
  return runCopy({
    invocation,
    defaultEnvelope: "meta",
    seals: false,
    bounded: settings.until !== undefined,
    sourceOf: (opened) => Promise.resolve({ source: tailSource(streamSettings(opened, invocation)), outputs: [] }),
  });
};
