import { expect, test } from "bun:test";
import { problemOf } from "../../src/commands/status.ts";

test.each([
  ["an unknown window is no problem", null, 0, undefined],
  ["a position within the window is no problem", 0.99, undefined, undefined],
  ["a position just before the threshold is no problem", 0.499, 50, undefined],
  ["a position at the threshold ends with 11", 0.5, 50, 11],
  ["a position at the beginning of the window is not lost", 1, undefined, undefined],
  ["a position before the window is lost, and ends with 6", 1.001, 50, 6],
  ["a position before the window is lost without a threshold", 1.001, undefined, 6],
])("%s", (_, windowUsed, warnAt, exitCode) => {
  expect(problemOf({ windowUsed, position: "2026-01-31T12:00:00Z" }, warnAt)?.exitCode).toBe(exitCode);
});
