import { expect, test } from "bun:test";
import { isSameRequest } from "../../src/lib/process.ts";

const FIRST = { name: "SIGINT", at: 1_000 };

test("the same signal again, at once, is the request that came first", () => {
  expect(isSameRequest(FIRST, { name: "SIGINT", at: 1_000 })).toBe(true);
  expect(isSameRequest(FIRST, { name: "SIGINT", at: 1_299 })).toBe(true);
});

test("another signal, or the same one later, is a second request", () => {
  expect(isSameRequest(FIRST, { name: "SIGINT", at: 1_300 })).toBe(false);
  expect(isSameRequest(FIRST, { name: "SIGTERM", at: 1_001 })).toBe(false);
});
