import { expect, test } from "bun:test";
import { backoffMs, shouldCommit } from "../../src/pipeline/commit-and-retry.ts";

test("backoffMs() doubles from a tenth of a second to ten seconds, between half of it and all of it", () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 9, 50, 10_000].map((attempt) => backoffMs(attempt, 0.9999999));
  expect(longest).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000]);
  expect([1, 2, 8].map((attempt) => backoffMs(attempt, 0))).toEqual([50, 100, 5_000]);
});

test.each([
  ["nothing has moved", { bytes: 0, moved: false, first: true, msSinceCommit: 1e9 }, false],
  ["the first position, at once", { bytes: 0, moved: true, first: true, msSinceCommit: 0 }, true],
  ["the first lines, at once", { bytes: 10, moved: true, first: true, msSinceCommit: 0 }, true],
  ["lines, too early", { bytes: 10, moved: true, first: false, msSinceCommit: 999 }, false],
  ["lines, after a second", { bytes: 10, moved: true, first: false, msSinceCommit: 1_000 }, true],
  [
    "a great many lines, before the second is over",
    { bytes: 256 * 1024 * 1024, moved: true, first: false, msSinceCommit: 1 },
    true,
  ],
  ["a position alone, after a second", { bytes: 0, moved: true, first: false, msSinceCommit: 9_999 }, false],
  ["a position alone, after ten seconds", { bytes: 0, moved: true, first: false, msSinceCommit: 10_000 }, true],
] as const)("shouldCommit(): %s", (_, state, expected) => {
  expect(shouldCommit(state)).toBe(expected);
});
