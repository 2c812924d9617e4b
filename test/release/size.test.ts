import { expect, test } from "bun:test";
import { checkSize } from "../../scripts/build/size.ts";

test("checkSize() refuses a binary that outgrows its budget, by itself or with its runtime", () => {
  expect(() => checkSize({ total: 120e6, runtime: 108e6 })).not.toThrow();
  expect(() => checkSize({ total: 120e6, runtime: 100e6 })).toThrow("adds 20.00 MB to Bun; the budget is");
  expect(() => checkSize({ total: 160e6, runtime: 155e6 })).toThrow("has 160.00 MB; the budget is");
});
