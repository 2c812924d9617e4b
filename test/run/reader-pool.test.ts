import { expect, test } from "bun:test";
import { workersFor } from "../../src/run/reader-pool.ts";

const MB = 1_000_000;

test.each([
  ["one, in the main thread, on two processors", 2, 4_000, 1],
  ["one within the memory that is allowed by default", 64, 256, 1],
  ["half of the processors where there is memory for them", 8, 1_000, 4],
  ["as many as there is memory for", 64, 700, 4],
  ["no more than the server could feed", 128, 16_000, 8],
  ["one on a single processor", 1, 64, 1],
])("without --workers there is %s", (_, processors, megabytes, workers) => {
  expect(workersFor(processors, megabytes * MB)).toBe(workers);
});
