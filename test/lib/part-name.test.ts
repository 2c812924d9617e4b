import { expect, test } from "bun:test";
import { partOf, wholeOf } from "../../src/lib/part-name.ts";
import { QUARANTINE } from "../../src/protocol/bad-documents.ts";

const NAMES = ["shop.orders", "shop.orders~0003", "shop.1", "a.b\n", "a.😀", "a.%00", "a.\\0", "a. 3"] as const;

test.each(NAMES)("wholeOf() gives back %p and the part that partOf() was told", (name) => {
  expect(wholeOf(name)).toEqual({ name, part: undefined });
  for (const part of [0, 3, 9_999, 12_345]) expect(wholeOf(partOf(name, part))).toEqual({ name, part });
});

test("no part has the name of a collection, nor of another part", () => {
  const parts = NAMES.flatMap((name) => [name, ...[0, 1, 10, 11, 111].map((part) => partOf(name, part))]);
  expect(new Set(parts).size).toBe(parts.length);
});

test("what is no collection has no parts", () => {
  expect(wholeOf(QUARANTINE)).toEqual({ name: QUARANTINE, part: undefined });
  expect(wholeOf("")).toEqual({ name: "", part: undefined });
});
