/** The options for the state file, and what to do with an earlier one. */

import type { OptionRow } from "../setting.ts";
import { duration, flag, oneOf, text } from "../value-schemas.ts";

export const STATE_OPTIONS = {
  state: {
    flag: "state",
    value: "FILE",
    text: "keep the position here, and go on from it",
    path: "whole",
    schema: text,
  },
  fresh: { flag: "fresh", text: "forget the state and start over; replaces the output", schema: flag },
  acceptChange: {
    flag: "accept-change",
    text: "go on although format, envelope, output or what is read has changed since",
    schema: flag,
  },
  onHistoryLost: {
    flag: "on-history-lost",
    value: "POLICY",
    text: "when the oplog no longer reaches back to the position: next-run ends, and the next run backfills again; fail; now backfills at once",
    fallback: "next-run",
    schema: oneOf(["next-run", "fail", "now"]),
  },
  waitLock: {
    flag: "wait-lock",
    value: "DURATION",
    text: "wait so long for another run on the same state to end",
    fallback: "0s",
    schema: duration,
  },
  skipIfLocked: {
    flag: "skip-if-locked",
    text: "end with 0 when another run holds the state",
    schema: flag,
  },
} as const satisfies Record<string, OptionRow>;
