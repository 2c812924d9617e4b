/**
 * What to do when the oplog no longer holds the saved position: the changes in between are lost, so only a new copy of
 * the collections makes the output complete. Pure decisions; capture.ts carries them out.
 */

import { MongotapError } from "../errors.ts";
import type { CollectionState, Position } from "../source/record.ts";

/**
 * `next-run`: end, and let the next run copy again. `fail`: end, as every later run will until --fresh. `now`: copy again
 * at once.
 */
export type HistoryPolicy = "next-run" | "fail" | "now";

/** How many losses in a row, without being live in between, are no accident: copying takes longer than the oplog lasts. */
const MOST_LOSSES = 3;

export interface Recovery {
  /** The position to save, with every collection stale; undefined: the saved position stays. */
  readonly position: Position | undefined;
  /** Whether this run copies again. */
  readonly goOn: boolean;
  readonly error: MongotapError;
}

export function recoveryOf(lost: MongotapError, position: Position, policy: HistoryPolicy): Recovery {
  const losses = (position.losses ?? 0) + 1;
  if (losses > MOST_LOSSES) {
    const message = `${lost.message}; this is the ${losses}th loss in a row: copying takes longer than the oplog lasts`;
    const hint = "Enlarge the oplog (replSetResizeOplog) or capture less, then start over with --fresh.";
    return {
      position: undefined,
      goOn: false,
      error: new MongotapError("history-lost", message, { hint, cause: lost }),
    };
  }
  if (policy === "fail") return { position: undefined, goOn: false, error: lost };
  const stale = staleOf(position, losses);
  const hint = "Run again: it backfills, then goes on with the changes. A larger oplog avoids this.";
  const error = new MongotapError("history-lost", `${lost.message}; the next run will backfill again`, {
    hint,
    cause: lost,
  });
  return { position: stale, goOn: policy === "now", error };
}

/** Only the names of the collections are still valid, and how often they were copied. */
function staleOf({ stream: _, collections, ...rest }: Position, losses: number): Position {
  const stale = Object.entries(collections).map(([name, state]) => [name, staleState(state)] as const);
  return { ...rest, collections: Object.fromEntries(stale), losses };
}

function staleState(state: CollectionState): CollectionState {
  return state.phase === "stale" || state.phase === "unbound" ? state : { phase: "stale", voided: false };
}
