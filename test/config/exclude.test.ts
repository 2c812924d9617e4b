import { describe, expect, test } from "bun:test";
import { selectBindings } from "../../src/run/selection.ts";
import { bindingText, isBound, matchStages, parseBinding, withoutExcluded } from "../../src/source/bindings.ts";

function left(namespaces: readonly string[], excluded: readonly string[]): string[] {
  return withoutExcluded(namespaces.map(parseBinding), excluded.map(parseBinding)).map(bindingText);
}

describe("withoutExcluded()", () => {
  test.each([
    [["shop"], ["shop.b", "shop.a"], ['shop.*!["a","b"]']],
    [["shop", "other"], ["shop.a"], ['shop.*!["a"]', "other.*"]],
    [["shop.a", "shop.b"], ["shop.a"], ["shop.b"]],
    [["shop.a", "other"], ["shop"], ["other.*"]],
    [["shop"], ["shop.*"], []],
    [["shop"], ["other.a"], ["shop.*"]],
    [["shop"], ["shop.a.b", "shop.a.b"], ['shop.*!["a.b"]']],
  ])("%j without %j", (namespaces, excluded, expected) => {
    expect(left(namespaces, excluded)).toEqual(expected);
  });
});

test("parseBinding() takes what looks like a binding with exceptions for the name of a collection", () => {
  const text = bindingText({ db: "shop", except: ['a"b', "c,d"] });
  expect(parseBinding(text)).toEqual({ db: "shop", collection: '*!["a\\"b","c,d"]' });
});

test("isBound() leaves exceptions out", () => {
  const bindings = [
    { db: "shop", except: ["a"] },
    { db: "shop", collection: "b" },
  ];
  expect(["a", "b", "c"].map((collection) => isBound(bindings, { db: "shop", collection }))).toEqual([
    false,
    true,
    true,
  ]);
  expect(isBound([...bindings, { db: "shop", collection: "a" }], { db: "shop", collection: "a" })).toBe(true);
});

describe("matchStages() lets the server leave exceptions out", () => {
  const branches = (...bindings: Parameters<typeof matchStages>[0]): unknown[] =>
    (matchStages(bindings)[0] as { $match: { $or: unknown[] } }).$match.$or;

  test("with their renames, and never an end of the stream", () => {
    const names = { $nin: ["a", "b"] };
    expect(branches({ db: "shop", except: ["b", "a"] })).toEqual([
      { operationType: "invalidate" },
      { "ns.db": "shop", "ns.coll": names },
      { operationType: "rename", "to.db": "shop", "to.coll": names },
      { operationType: "dropDatabase", "ns.db": "shop" },
    ]);
  });

  test("only what every binding leaves out is left out", () => {
    expect(branches({ db: "shop", except: ["a", "b"] }, { db: "shop", except: ["b", "c"] })[1]).toEqual({
      "ns.db": "shop",
      "ns.coll": { $nin: ["b"] },
    });
    // All of one database is what its stream has anyway.
    expect(matchStages([{ db: "shop", except: ["a"] }, { db: "shop" }])).toEqual([]);
    expect(
      matchStages([
        { db: "shop", except: ["a"] },
        { db: "shop", collection: "a" },
      ]),
    ).toEqual([]);
    expect(branches({ db: "shop", except: ["a"] }, { db: "shop" }, { db: "other" })[1]).toEqual({ "ns.db": "shop" });
    expect(branches({ db: "shop", collection: "a" }, { db: "shop", collection: "b" })[1]).toEqual({
      "ns.db": "shop",
      "ns.coll": { $in: ["a", "b"] },
    });
  });
});

describe("bindingsOf() refuses an exclusion that must be a slip", () => {
  const of = (namespaces: string[], exclude: string[]): unknown =>
    selectBindings({ namespaces, settings: { exclude } });

  test("one of a database that is not read", () => {
    expect(() => of(["shop"], ["shp.a"])).toThrow("shp.a is excluded, but nothing of the database shp is read");
  });

  test("one that leaves nothing", () => {
    expect(() => of(["shop.a"], ["shop"])).toThrow("nothing is left to read");
  });
});
