import { expect, test } from "bun:test";
import { detach } from "../../src/lib/detach.ts";

test("detach() frees the memory of large bytes at once", () => {
  const bytes = Buffer.alloc(1_000_000);
  detach(bytes.subarray(100));
  expect([bytes.length, bytes.buffer.byteLength]).toEqual([0, 0]);
});

test.each([
  ["small ones, which may be slices of a pool", () => Buffer.from("x".repeat(1_000))],
  ["a small part of something large", () => Buffer.alloc(10_000_000).subarray(0, 1_000_000)],
])("detach() leaves alone %s", (_, make) => {
  const bytes = make();
  const { length } = bytes;
  detach(bytes);
  expect(bytes.length).toBe(length);
});
