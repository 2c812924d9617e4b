/** `mongotap backfill`: what is there now, then ends. */

import { type Opened, runSession } from "./session.ts";
import { backfillSource } from "../pipeline/backfill.ts";
import { isComplete } from "../pipeline/progress.ts";
import { nameOf } from "../source/record.ts";
import type { Command } from "./command.ts";
import { readableOf } from "./readable.ts";

export const backfill: Command = (invocation) =>
  runSession({
    invocation,
    defaultEnvelope: "none",
    seals: true,
    bounded: true,
    sourceOf: (opened) => {
      if (isDone(opened)) return Promise.resolve(undefined);
      return Promise.resolve(backfillSource(opened.collections.map((info) => readableOf(opened, info))));
    },
  });

/** Every collection has been read, and every file has its final name. */
function isDone({ saved, collections }: Opened): boolean {
  if (!saved?.outputs.every((mark) => mark.sealed)) return false;
  return collections.every((info) => {
    const progress = saved.position.collections[nameOf(info.namespace)];
    return progress !== undefined && isComplete(progress);
  });
}
