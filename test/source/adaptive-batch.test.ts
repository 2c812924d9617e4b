import { expect, test } from "bun:test";
import { AdaptiveBatchSize } from "../../src/source/adaptive-batch.ts";

type Deed = "slow" | number;

/** What the limit is after each of these: a failure, or a reply with this many events. */
function limitsOf(begin: number | undefined, deeds: readonly Deed[]): number[] {
  const size = new AdaptiveBatchSize(begin);
  return deeds.map((deed) => {
    if (deed === "slow") size.onTooSlow();
    else size.onReply(deed);
    return size.limit;
  });
}

const full = (count: number, events: number): Deed[] => Array.from({ length: count }, () => events);

test.each([
  ["no limit while every reply comes in time", undefined, full(40, 1_000), Infinity],
  ["half of what a new cursor asks for after the first failure", undefined, ["slow"], 500],
  ["halves with each failure", undefined, ["slow", "slow", "slow", "slow"], 62],
  ["never below one event", 2, ["slow", "slow", "slow"], 1],
  ["stays for 15 full replies", 500, full(15, 500), 500],
  ["doubles after 16 full replies", 500, full(16, 500), 1_000],
  ["doubles again after 16 of the new size", 500, [...full(16, 500), ...full(16, 1_000)], 2_000],
  ["stays where the replies are not full: they say nothing about larger ones", 500, full(100, 499), 500],
  ["counts full replies with others in between", 500, full(16, 500).flatMap((n) => [n, 0, 3]), 1_000],
  ["counts from the beginning after a failure", 500, [...full(15, 500), "slow", ...full(15, 250)], 250],
  ["stays for 31 full replies after a raise that failed", 500, [...full(16, 500), "slow", ...full(31, 500)], 500],
  ["doubles after 32 full replies after a raise that failed", 500, [...full(16, 500), "slow", ...full(32, 500)], 1_000],
  [
    "waits twice as long after each raise that failed",
    500,
    [...full(16, 500), "slow", ...full(32, 500), "slow", ...full(63, 500)],
    500,
  ],
  [
    "waits for 16 again once a raise has held",
    500,
    [...full(16, 500), "slow", ...full(32, 500), ...full(32, 1_000), ...full(16, 2_000)],
    4_000,
  ],
  ["falls to 500 from whatever size", 4_000, ["slow"], 500],
  ["recovers from a single event", 1, [...full(16, 1), ...full(16, 2), ...full(16, 4)], 8],
] as const)("the limit: %s", (_, begin, deeds: readonly Deed[], expected) => {
  expect(limitsOf(begin, deeds).at(-1)).toBe(expected);
});
