/** What is drift, and what is chance. */

import { describe, expect, test } from "bun:test";
import { ObjectId } from "bson";
import { asJson, type KnownCatalog, parseCatalog } from "../../src/discover/as-json.ts";
import type { CatalogEntry } from "../../src/discover/catalog.ts";
import { type Change, changesBetween, diffJson, diffTable } from "../../src/discover/diff.ts";
import { MongotapError } from "../../src/errors.ts";
import { randomOf } from "../support/documents.ts";
import { catalogOf, entryOf } from "./catalogs.ts";

const known = (...entries: CatalogEntry[]): KnownCatalog => parseCatalog(asJson(catalogOf(entries)), "a test");
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** `path change what` of every change. */
const textsOf = (changes: readonly Change[]): string[] =>
  changes.map(({ collection, path, change, what }) => `${path ?? collection} ${change} ${what.join(",")}`);

/** The changes between two samples of one collection. */
function between(before: readonly object[], after: readonly object[], how: "random" | "all" = "random"): string[] {
  return textsOf(changesBetween(known(entryOf(before, { how })), known(entryOf(after, { how }))));
}

describe("drift is", () => {
  test("an added or removed collection", () => {
    const users = entryOf([{ a: 1 }], { info: { namespace: { db: "shop", collection: "users" } } });
    expect(textsOf(changesBetween(known(entryOf([{ a: 1 }])), known(users)))).toEqual([
      "shop.orders removed collection",
      "shop.users added collection",
    ]);
  });

  test("a changed type or option of a collection", () => {
    const before = entryOf(undefined, { options: { capped: true, validator: { a: 1 } } });
    const after = entryOf(undefined, { info: { type: "view" }, options: { capped: true, viewOn: "x" } });
    expect(textsOf(changesBetween(known(before), known(after)))).toEqual([
      "shop.orders changed type: collection → view",
      "shop.orders changed validator,viewOn",
    ]);
  });

  test("an added or removed field, reported once with all fields inside it", () => {
    expect(between([{ a: 1, old: { x: 1 } }], [{ a: 1, now: [{ y: 1 }] }], "all")).toEqual([
      "old removed object",
      "now added array",
    ]);
  });

  test("an added or removed type, at any depth", () => {
    expect(between([{ a: [{ n: 1 }] }, { a: [{ n: "x" }] }], [{ a: [{ n: 1 }] }, { a: [{ n: null }] }], "all")).toEqual(
      ["a[].n type-removed string", "a[].n type-added null"],
    );
  });

  test("a field in 2 % of a thousand sampled documents and in none of the other thousand", () => {
    const without = times(1_000, () => ({ a: 1 }));
    const some = times(1_000, (i) => (i % 50 === 0 ? { a: 1, b: 1 } : { a: 1 }));
    expect(between(without, some)).toEqual(["b added int"]);
    expect(between(some, without)).toEqual(["b removed int"]);
  });

  test("a field of one document, if all documents were read", () => {
    const one = [...times(100, () => ({ a: 1 })), { a: 1, b: 1 }];
    expect(
      between(
        times(100, () => ({ a: 1 })),
        one,
        "all",
      ),
    ).toEqual(["b added int"]);
  });

  test("a field that no document has any more, however rare it was", () => {
    const before = known(entryOf([...times(1_000, () => ({ a: 1 })), { a: 1, b: 1 }], { how: "random" }));
    const after = known(entryOf([{ a: 1 }], { how: "all" }));
    expect(textsOf(changesBetween(before, after))).toEqual(["b removed int"]);
  });
});

describe("no drift is", () => {
  test("a rare field that only one sample has", () => {
    const without = times(1_000, () => ({ a: 1 }));
    const rare = times(1_000, (i) => (i % 100 === 0 ? { a: 1, b: 1 } : { a: 1 }));
    expect(between(without, rare)).toEqual([]);
    expect(between(rare, without)).toEqual([]);
  });

  test("a field with many values, all in one document", () => {
    const one = [...times(999, () => ({ a: [{ n: 1 }] })), { a: times(1_000, () => ({ n: 1, odd: 1 })) }];
    expect(
      between(
        times(1_000, () => ({ a: [{ n: 1 }] })),
        one,
      ),
    ).toEqual([]);
  });

  test("a changed share, or a field that is no longer in every document", () => {
    expect(
      between(
        times(1_000, () => ({ a: 1 })),
        times(1_000, (i) => (i < 500 ? { a: 1 } : {})),
      ),
    ).toEqual([]);
  });

  test("dynamic keys, and fields beside them", () => {
    const ids = (count: number): object => Object.fromEntries(times(count, () => [new ObjectId().toHexString(), 1]));
    const few = times(100, (i) => ({ by: { total: 1, [`k${i % 3}`]: 1 } }));
    const many = times(100, () => ({ by: { total: 1, ...ids(5) } }));
    for (const how of ["random", "all"] as const) {
      expect(between(few, many, how)).toEqual([]);
      expect(between(many, few, how)).toEqual([]);
    }
  });

  test("an empty collection, or one that was not sampled", () => {
    const full = known(entryOf(times(100, () => ({ a: 1 }))));
    expect(changesBetween(full, known(entryOf([])))).toEqual([]);
    expect(changesBetween(full, known(entryOf(undefined)))).toEqual([]);
    expect(changesBetween(known(entryOf([])), full)).toEqual([]);
  });

  test("a changed document count, uuid or time", () => {
    const before = entryOf(times(10, () => ({ a: 1 })));
    const after = entryOf(
      times(20, () => ({ a: 1 })),
      { info: { uuid: "ab" } },
    );
    expect(changesBetween(known(before), known(after))).toEqual([]);
  });

  test("the difference of any of a hundred pairs of samples of one irregular collection", () => {
    const random = randomOf(7);
    const sample = (): CatalogEntry =>
      entryOf(
        times(300, () => ({
          ...Object.fromEntries(
            times(40, (n) => [`f${n}`, random() < 0.1 ? "x" : 1]).filter((_, n) => random() < (n + 1) / 200),
          ),
          list: times(Math.floor(random() * 5), () => (random() < 0.03 ? { rare: 1 } : random() < 0.5 ? 1 : "x")),
        })),
        { how: "random" },
      );
    const changes = times(100, () => changesBetween(known(sample()), known(sample()))).flat();
    expect(textsOf(changes)).toEqual([]);
  });
});

describe("is printed", () => {
  const before = known(entryOf([{ a: 1, b: 1 }]));
  const after = known(entryOf([{ a: "x", b: 1, c: true }]));
  const comparison = { changes: changesBetween(before, after), since: before.at, collections: 1 };

  test("as a table for people", () => {
    expect(diffTable(comparison)).toBe(
      [
        "   NAMESPACE    FIELD  CHANGE",
        "~  shop.orders  a      no longer int (was in 1 of 1 document)",
        "~  shop.orders  a      now also string (in 1 of 1 document)",
        "+  shop.orders  c      new: bool (in 1 of 1 document)",
        "3 changes since 2026-01-31T12:00:00.000Z in 1 collection",
        "",
      ].join("\n"),
    );
    expect(diffTable({ ...comparison, changes: [] })).toBe("no drift since 2026-01-31T12:00:00.000Z in 1 collection\n");
  });

  test("as JSON with one change on each line", () => {
    const text = diffJson(comparison);
    expect(text.split("\n").length).toBe(6);
    expect(JSON.parse(text)).toEqual({ since: before.at, collections: 1, changes: comparison.changes });
    expect(comparison.changes.at(-1)).toEqual({
      collection: "shop.orders",
      path: "c",
      change: "added",
      what: ["bool"],
      documents: 1,
      sampled: 1,
    });
  });
});

describe("an earlier catalog that cannot be parsed", () => {
  const cases: readonly (readonly [text: string, says: string])[] = [
    ["{", "it is no JSON"],
    ["[]", "it is incomplete"],
    ['{"a":1}', "mongotap did not print it"],
    ['{"mongotap":"9","format":99}', "its form is 99, and this version knows 1"],
    ['{"mongotap":"1","format":1,"at":"","namespaces":[],"exclude":[],"collections":[{"db":1}]}', "it is incomplete"],
  ];
  test.each(cases)("%s is an error", (text, says) => {
    expect(() => parseCatalog(text, "--diff x.json")).toThrow(
      expect.objectContaining({ kind: "config", message: `--diff x.json cannot be compared with: ${says}` }),
    );
    expect(() => parseCatalog(text, "--diff x.json")).toThrow(MongotapError);
  });
});
