/** The pump of a run, with what the run counts and logs meanwhile. */

import type { Logger } from "../observe/log.ts";
import { countBatch, type Stats } from "../observe/stats.ts";
import { take } from "../pipeline/limit.ts";
import { pump, type PumpResult, type PumpSettings } from "../pipeline/pump.ts";
import type { Encoder } from "../protocol/protocol.ts";
import type { Source } from "../source/record.ts";
import { endText } from "./ends.ts";

export interface Transfer extends Pick<
  PumpSettings,
  "from" | "encoder" | "sink" | "save" | "retryForMs" | "signal" | "commitMs"
> {
  readonly source: Source;
  /** The most documents. */
  readonly limit: number;
  readonly stats: Stats;
  readonly log: Logger;
  /** The command, for messages about the ends of collections. */
  readonly command: string;
}

/** @throws as `pump` does */
export function transferLines({ source, limit, stats, log, command, ...settings }: Transfer): Promise<PumpResult> {
  return pump({
    ...settings,
    source: take(source, limit),
    onWritten: (batch, lines, bytes) => {
      countBatch(stats, batch, lines, bytes);
      if (batch.kind === "events") for (const end of batch.ends ?? []) log.warn(endText(end, command));
    },
    savepoint: () => savepointOf(stats, settings.encoder),
    onRetry: (error, waitMs) => log.warn(`${error.message}; trying again in ${waitMs} ms`),
  });
}

/** Returns a function that sets what the run has counted back to what it has counted now. */
function savepointOf(stats: Stats, encoder: Pick<Encoder, "savepoint">): () => void {
  const before = { ...stats };
  const restore = encoder.savepoint();
  return () => {
    Object.assign(stats, before);
    restore();
  };
}
