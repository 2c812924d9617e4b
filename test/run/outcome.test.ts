import { expect, test } from "bun:test";
import { Stop, type StopReason } from "../../src/lib/process.ts";
import { conclusionOf, type RunEnd } from "../../src/run/outcome.ts";

const SIGNAL: StopReason = { kind: "signal", name: "SIGTERM", number: 15 };
const DEADLINE: StopReason = { kind: "deadline" };

function endOf(outcome: RunEnd["outcome"], reason: StopReason): RunEnd {
  return outcome === "stopped" || outcome === "cut" ? { outcome, stop: new Stop(reason) } : { outcome };
}

const LIMIT = "--limit came before the end was reached";
const TOO_SOON = "before the end was reached";
const READER = "the reader of - takes no more and the time is over";

interface Row {
  readonly end: RunEnd;
  readonly bounded: boolean;
  readonly mustFinish: boolean;
}

/** The end of a run and what was expected of it; whether the output is complete, the exit code, and the message. */
const TABLE: readonly (readonly [Row, isComplete: boolean, exitCode: number, message: string | undefined])[] = [
  [{ end: endOf("finished", SIGNAL), bounded: true, mustFinish: true }, true, 0, undefined],
  [{ end: endOf("finished", SIGNAL), bounded: false, mustFinish: false }, true, 0, undefined],
  [{ end: endOf("limited", SIGNAL), bounded: true, mustFinish: true }, false, 12, LIMIT],
  [{ end: endOf("limited", SIGNAL), bounded: true, mustFinish: false }, true, 0, undefined],
  [{ end: endOf("limited", SIGNAL), bounded: false, mustFinish: true }, false, 12, LIMIT],
  [{ end: endOf("limited", SIGNAL), bounded: false, mustFinish: false }, true, 0, undefined],
  [{ end: endOf("stopped", SIGNAL), bounded: true, mustFinish: true }, false, 12, `stopped by SIGTERM ${TOO_SOON}`],
  [{ end: endOf("stopped", DEADLINE), bounded: true, mustFinish: false }, false, 12, `the time is over ${TOO_SOON}`],
  [{ end: endOf("stopped", SIGNAL), bounded: false, mustFinish: false }, false, 0, undefined],
  [{ end: endOf("stopped", DEADLINE), bounded: false, mustFinish: false }, false, 0, undefined],
  [{ end: endOf("cut", SIGNAL), bounded: true, mustFinish: true }, false, 143, undefined],
  [{ end: endOf("cut", SIGNAL), bounded: false, mustFinish: false }, false, 143, undefined],
  [{ end: endOf("cut", DEADLINE), bounded: true, mustFinish: true }, false, 12, READER],
  [{ end: endOf("cut", DEADLINE), bounded: false, mustFinish: false }, false, 12, READER],
];

test.each(TABLE)("%j is concluded: complete %p, exit code %p", (row, isComplete, exitCode, message) => {
  const conclusion = conclusionOf(row.end, { ...row, output: "-" });
  const { problem } = conclusion;
  expect([conclusion.isComplete, conclusion.exitCode]).toEqual([isComplete, exitCode]);
  expect(problem?.message).toBe(message);
  if (problem !== undefined) expect(problem.kind).toBe("limit");
});
