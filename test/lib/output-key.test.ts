import { expect, test } from "bun:test";
import { CollectionKeys, EVERYTHING, idOf, type OutputKey, outputKeyOf, QUARANTINE } from "../../src/lib/output-key.ts";

/** Names that look like ids, like keys, or like names of files of partitions. */
const NAMES = [
  "shop.orders",
  "shop.orders~0003",
  "quarantine",
  "everything",
  "",
  "1",
  "1:shop.orders",
  "partition:1:shop.orders",
  "collection:shop.orders",
  "a.b\0",
  "a.\u0000quarantine",
] as const;

test("idOf() differs for different keys", () => {
  const keys = NAMES.flatMap((name) => [
    outputKeyOf(name),
    ...[0, 1, 10, 11, 111].map((partition) => outputKeyOf(name, partition)),
  ]);
  const all: OutputKey[] = [...keys, QUARANTINE, EVERYTHING];
  expect(new Set(all.map(idOf)).size).toBe(all.length);
});

test("idOf() is the same for a key that was cloned or saved", () => {
  for (const key of [outputKeyOf("shop.orders"), outputKeyOf("shop.orders", 3), QUARANTINE, EVERYTHING]) {
    expect(idOf(structuredClone(key))).toBe(idOf(key));
    expect(idOf(JSON.parse(JSON.stringify(key)) as OutputKey)).toBe(idOf(key));
  }
});

test("CollectionKeys returns the same object for the same namespace, also between others", () => {
  const keys = new CollectionKeys();
  const [a, b] = [keys.of("app.a"), keys.of("app.b")];
  expect(keys.of("app.b")).toBe(b);
  expect(keys.of("app.a")).toBe(a);
  expect([a, b]).toEqual([outputKeyOf("app.a"), outputKeyOf("app.b")]);
});

test("CollectionKeys makes right keys for any number of namespaces, the empty one included", () => {
  const keys = new CollectionKeys();
  for (const round of [1, 2]) {
    for (let i = 0; i < 25_000; i += round) {
      const namespace = i === 0 ? "" : `app.c${i}`;
      expect(keys.of(namespace)).toEqual({ kind: "collection", namespace });
    }
  }
});
