/** `mongotap status`: compares a state file with the server: phases, rows, lag, and the part of the oplog window in use. */

import type { Settings } from "../config/options.ts";
import { connectionStringOf } from "../config/server.ts";
import { MongotapError } from "../errors.ts";
import { tableOf } from "../observe/stats.ts";
import { documentsCopied, isComplete } from "../pipeline/position.ts";
import { type ConnectionSettings, openConnection } from "../run/connection.ts";
import { exitWith } from "../run/outcome.ts";
import { isoOf } from "../source/cluster-time.ts";
import type { ClusterTime, CollectionState } from "../source/record.ts";
import {
  type OplogWindow,
  readOplogWindow,
  readServerTime,
  secondsBetween,
  shareOfWindow,
} from "../source/replication.ts";
import { type Checkpoint, loadCheckpoint } from "../state/checkpoint.ts";
import type { Command } from "./command.ts";
import { print } from "./print.ts";

/** The output of `--as json`. Times are ISO; null stands for what cannot be known. */
export interface Status {
  readonly command: string;
  readonly position: string | null;
  readonly lagSeconds: number | null;
  readonly oplog: { readonly from: string; readonly to: string } | null;
  /** How far back in the oplog window the position is: 0 is its end, 1 its beginning. Above 1 the position is lost. */
  readonly windowUsed: number | null;
  readonly losses: number;
  readonly collections: readonly CollectionStatus[];
  readonly outputs: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly lines: number;
    readonly sealed: boolean;
  }[];
}

interface CollectionStatus {
  readonly namespace: string;
  readonly phase: string;
  readonly rows: number;
  readonly rangesDone: number;
  readonly ranges: number;
}

type StatusSettings = ConnectionSettings & Pick<Settings, "state" | "warnAt" | "as">;

export const status: Command<StatusSettings> = async (invocation) => {
  const { settings, log } = invocation;
  const path = settings.state;
  if (path === undefined) throw new MongotapError("usage", "status needs to know which state: --state FILE");
  const saved = await loadCheckpoint(path, { readOnly: true });
  if (!saved)
    throw new MongotapError("state", `${path} does not exist: there is no state yet`, {
      hint: "A run with --state makes it.",
    });
  const uri = await connectionStringOf(settings);
  log.hide(uri.secrets);
  await using connection = await openConnection(invocation, uri);
  const found = statusOf(saved, await readOplogWindow(connection.client), await readServerTime(connection.client));
  await print(settings.as === "json" ? `${JSON.stringify(found)}\n` : textOf(found));
  return exitWith(log, problemOf(found, settings.warnAt));
};

/** `oplog` and `now` are undefined where the user may not read them. */
export function statusOf(saved: Checkpoint, oplog: OplogWindow | undefined, now: ClusterTime | undefined): Status {
  const at = saved.position.stream?.time;
  return {
    command: saved.fingerprint.command,
    position: at === undefined ? null : isoOf(at),
    lagSeconds: at === undefined || now === undefined ? null : Math.max(0, secondsBetween(at, now)),
    oplog: oplog === undefined ? null : { from: isoOf(oplog.first), to: isoOf(oplog.last) },
    windowUsed: at === undefined || oplog === undefined ? null : Math.round(shareOfWindow(at, oplog) * 1000) / 1000,
    losses: saved.position.losses ?? 0,
    collections: Object.entries(saved.position.collections).map(([namespace, state]) => ({
      namespace,
      ...collectionStatus(state),
    })),
    outputs: saved.outputs.map(({ path, bytes, lines, finalized }) => ({ path, bytes, lines, sealed: finalized })),
  };
}

function collectionStatus(state: CollectionState): Omit<CollectionStatus, "namespace"> {
  const { phase } = state;
  switch (phase) {
    case "pinned":
      return { phase, rows: 0, rangesDone: 0, ranges: 1 };
    case "copying": {
      const { ranges } = state;
      return {
        phase: isComplete(state) ? "done" : phase, // of a backfill: a capture makes it live
        rows: documentsCopied(ranges),
        rangesDone: ranges.filter((range) => range.done).length,
        ranges: ranges.length,
      };
    }
    case "live": {
      const { documents, ranges } = state.copied;
      return { phase, rows: documents, rangesDone: ranges, ranges };
    }
    case "stale":
    case "unbound":
      return { phase, rows: 0, rangesDone: 0, ranges: 0 };
  }
}

/** `history-lost` if the position is lost, `threshold` if it has used up `warnAt` percent of the window, else undefined. */
export function problemOf(
  { windowUsed, position }: Pick<Status, "windowUsed" | "position">,
  warnAt: number | undefined,
): MongotapError | undefined {
  if (windowUsed === null) return undefined;
  if (windowUsed > 1) {
    return new MongotapError("history-lost", `the oplog no longer reaches back to the position (${position ?? "?"})`, {
      hint: "The next run of capture ends with 6 and says what to do; a tail can only start over with --fresh.",
    });
  }
  if (warnAt === undefined || windowUsed * 100 < warnAt) return undefined;
  return new MongotapError(
    "threshold",
    `the position has used up ${Math.round(windowUsed * 100)} % of the oplog window (--warn-at ${warnAt}%)`,
  );
}

function textOf(found: Status): string {
  const { position, lagSeconds, oplog, windowUsed, losses, collections, outputs } = found;
  const lines = [
    `position   ${position ?? "none: no stream has been opened"}`,
    `lag        ${lagSeconds === null ? "unknown" : `${lagSeconds} s behind the server`}`,
    `oplog      ${oplog === null ? "not readable by this user" : `from ${oplog.from} to ${oplog.to}`}`,
    `window     ${windowUsed === null ? "unknown" : windowUsed > 1 ? "lost" : `${(windowUsed * 100).toFixed(1)} % used up`}`,
  ];
  if (losses > 0) lines.push(`losses     ${losses} in a row`);
  const rows = collections.map((c) => [
    c.namespace,
    c.phase,
    c.rows.toLocaleString("en-US"),
    `${c.rangesDone}/${c.ranges}`,
  ]);
  const files = outputs.map((o) => [
    o.path,
    o.lines.toLocaleString("en-US"),
    o.bytes.toLocaleString("en-US"),
    o.sealed ? "complete" : "open",
  ]);
  const tables = [
    ...(rows.length === 0 ? [] : [tableOf(["NAMESPACE", "PHASE", "ROWS", "RANGES"], rows, [2, 3])]),
    ...(files.length === 0 ? [] : [tableOf(["OUTPUT", "LINES", "BYTES", "STATE"], files, [1, 2])]),
  ];
  return `${[lines.join("\n"), ...tables].join("\n\n")}\n`;
}
