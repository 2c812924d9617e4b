/** The files that a runner gives to the Singer tap: catalogs of every age, and states. */

import { describe, expect, test } from "bun:test";
import { parseCatalog } from "../../src/connectors/singer/catalog.ts";
import { parseBookmarks, stateOf } from "../../src/connectors/singer/state.ts";

const PROPERTIES = {
  _id: { type: ["null", "string"] },
  a: { type: ["null", "integer"] },
  in: { type: ["null", "object"], properties: { b: {}, c: {} } },
};

function streamOf(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const schema = { type: "object", "x-mongodb-namespace": "shop.a.b", properties: PROPERTIES };
  return { tap_stream_id: "shop_a_b", key_properties: ["_id"], schema, selected: true, ...more };
}

const selectionOf = (stream: Readonly<Record<string, unknown>>): unknown[] => {
  const [found] = parseCatalog({ streams: [stream] }, "the catalog");
  return [[...(found?.excluded ?? new Map<string, unknown>())], found?.schema["properties"]];
};

describe("the catalog", () => {
  test("names the collection in the schema, or, where a runner has left that out, in the metadata", () => {
    const namespace = { db: "shop", collection: "a.b" };
    expect(parseCatalog({ streams: [streamOf()] }, "it")).toMatchObject([
      { id: "shop_a_b", stream: "shop_a_b", namespace },
    ]);
    const schema = { properties: PROPERTIES };
    const metadata = [{ breadcrumb: [], metadata: { "database-name": "shop" } }];
    const stripped = streamOf({ schema, metadata, table_name: "a.b", stream: "renamed" });
    expect(parseCatalog({ streams: [stripped] }, "it")).toMatchObject([{ stream: "renamed", namespace }]);
    expect(() => parseCatalog({ streams: [streamOf({ schema })] }, "it")).toThrow(
      "it does not say which collection the stream shop_a_b is of",
    );
  });

  test.each([
    ["the stream itself", { selected: true }, { selected: false }],
    [
      "its metadata, which comes first",
      { selected: false, metadata: [of({ selected: true })] },
      { metadata: [of({ selected: false })] },
    ],
    [
      "its schema, as in the first form",
      { selected: null, schema: { ...schemaOf(), selected: true } },
      { selected: null },
    ],
    [
      "what discover suggests",
      { selected: null, metadata: [of({ "selected-by-default": true })] },
      { selected: null, metadata: [of({})] },
    ],
  ])("selects a stream by %s", (_, selected, unselected) => {
    expect(parseCatalog({ streams: [streamOf(selected)] }, "it")).toHaveLength(1);
    expect(parseCatalog({ streams: [streamOf(unselected)] }, "it")).toHaveLength(0);
  });

  test("leaves out fields by their metadata, or in the first form by their schema; the key is always there", () => {
    const field = (path: readonly string[], metadata: object): object => ({
      breadcrumb: path.flatMap((name) => ["properties", name]),
      metadata,
    });
    const without = { _id: PROPERTIES._id, in: { type: ["null", "object"], properties: { b: {} } } };
    const metadata = [
      field(["_id"], { selected: false }),
      field(["a"], { selected: false }),
      field(["in", "c"], { inclusion: "unsupported", selected: true }),
    ];
    const excluded = [
      ["a", "whole"],
      ["in", new Map([["c", "whole"]])],
    ];
    expect(selectionOf(streamOf({ metadata }))).toEqual([excluded, without]);
    const old = {
      _id: PROPERTIES._id,
      a: { selected: false },
      in: { ...PROPERTIES.in, properties: { b: {}, c: { selected: false } } },
    };
    const schema = { "x-mongodb-namespace": "shop.a.b", properties: old };
    expect(selectionOf(streamOf({ schema }))).toEqual([excluded, without]);
    const unselectedParent = [field(["in"], { selected: false }), field(["in", "b"], { selected: true })];
    expect(selectionOf(streamOf({ metadata: unselectedParent }))[0]).toEqual([["in", "whole"]]);
  });

  test("leaves out fields that its metadata alone have, because the sample lacked them", () => {
    const field = (...path: readonly string[]): object => ({
      breadcrumb: path.flatMap((name) => ["properties", name]),
      metadata: { selected: false },
    });
    const metadata = [field("rare"), field("in", "rare"), field("a", "x", "y"), field("unknown", "x")];
    const expected = [
      ["a", new Map([["x", new Map([["y", "whole"]])]])],
      ["in", new Map([["rare", "whole"]])],
      ["rare", "whole"],
      ["unknown", new Map([["x", "whole"]])],
    ];
    const [excluded, properties] = selectionOf(streamOf({ metadata })) as [unknown[], unknown];
    expect(excluded).toHaveLength(4);
    expect(new Map(excluded as [string, unknown][])).toEqual(new Map(expected as [string, unknown][]));
    expect(properties).toEqual(PROPERTIES);
    const schema = { "x-mongodb-namespace": "shop.a.b" };
    expect(parseCatalog({ streams: [streamOf({ metadata, schema })] }, "it")[0]?.only).toBeUndefined();
    expect(parseCatalog({ streams: [streamOf({ metadata })] }, "it")[0]?.only).toEqual(["_id", "a", "in"]);
  });

  test("leaves out fields of documents in arrays, also by a breadcrumb through items; a field may be called so", () => {
    const item = { type: ["null", "object"], properties: { b: {}, c: {}, items: {} } };
    const properties = {
      _id: {},
      list: { type: ["null", "array", "object"], items: item, properties: { b: {}, c: {} } },
    };
    const schema = { "x-mongodb-namespace": "shop.a.b", properties };
    const entry = (selected: boolean, ...breadcrumb: readonly string[]): object => ({
      breadcrumb,
      metadata: { selected },
    });
    const ofList = ["properties", "list"];
    const metadata = [
      entry(false, ...ofList, "items", "properties", "b"),
      entry(true, ...ofList, "properties", "b"),
      entry(false, ...ofList, "items", "properties", "items"),
      entry(false, "list", "properties"),
    ];
    const [excluded, kept] = selectionOf(streamOf({ schema, metadata })) as [[string, unknown][], unknown];
    const inside = new Map([
      ["b", "whole"],
      ["items", "whole"],
    ]);
    expect(new Map(excluded)).toEqual(new Map<string, unknown>([["list", inside]]));
    expect(kept).toEqual({
      _id: {},
      list: { ...properties.list, items: { ...item, properties: { c: {} } }, properties: { c: {} } },
    });
  });

  test("leaves out what Meltano calls automatic, because its user has declared it, and then deselected", () => {
    const metadata = [
      { breadcrumb: ["properties", "a"], metadata: { inclusion: "automatic", selected: false } },
      { breadcrumb: ["properties", "in"], metadata: { inclusion: "automatic", selected: true } },
      { breadcrumb: ["properties", "in", "properties", "b"], metadata: { inclusion: "available", selected: false } },
    ];
    expect(selectionOf(streamOf({ metadata }))[0]).toEqual([
      ["a", "whole"],
      ["in", new Map([["b", "whole"]])],
    ]);
  });

  test("keeps the key whole: rows whose keys lack a part would replace one another", () => {
    const properties = { _id: { type: ["null", "object"], properties: { a: {}, b: {} } } };
    const schema = { "x-mongodb-namespace": "shop.a.b", properties };
    const metadata = [{ breadcrumb: ["properties", "_id", "properties", "b"], metadata: { selected: false } }];
    expect(selectionOf(streamOf({ schema, metadata }))).toEqual([[], properties]);
  });

  test("a field with the name of the prototype is one like others", () => {
    const properties = JSON.parse('{"_id":{},"__proto__":{"type":"string"},"constructor":{},"a":{}}') as object;
    const schema = { "x-mongodb-namespace": "shop.a.b", properties };
    const without = (name: string) => {
      const metadata = [{ breadcrumb: ["properties", name], metadata: { selected: false } }];
      return parseCatalog({ streams: [streamOf({ schema, metadata })] }, "it")[0];
    };
    expect(without("a")?.only).toEqual(["_id", "__proto__", "constructor"]);
    expect(JSON.stringify(without("a")?.schema["properties"])).toContain('"__proto__":{"type":"string"}');
    expect(without("__proto__")?.only).toEqual(["_id", "constructor", "a"]);
    expect(without("__proto__")?.excluded).toEqual(new Map([["__proto__", "whole"]]));
  });

  test("names the selected fields where one is left out, since another that it does not have may be unwanted too", () => {
    const onlyOf = (path: readonly string[]): unknown => {
      const breadcrumb = path.flatMap((name) => ["properties", name]);
      const stream = streamOf({ metadata: [{ breadcrumb, metadata: { selected: false } }] });
      return parseCatalog({ streams: [stream] }, "it")[0]?.only;
    };
    expect(onlyOf(["a"])).toEqual(["_id", "in"]);
    expect(onlyOf(["in", "b"])).toBeUndefined();
    expect(onlyOf(["_id"])).toBeUndefined();
  });

  test("is refused with two streams of one id, one name or one collection, if both are selected", () => {
    const other = { "x-mongodb-namespace": "shop.c", properties: {} };
    const twice = (more: Readonly<Record<string, unknown>>): unknown => ({ streams: [streamOf(), streamOf(more)] });
    const read = (value: unknown) => () => parseCatalog(value, "it");
    expect(read(twice({ schema: other }))).toThrow("it has two streams with the id shop_a_b");
    expect(read(twice({ schema: other, tap_stream_id: "x", stream: "shop_a_b" }))).toThrow(
      "it has two streams with the name shop_a_b",
    );
    expect(read(twice({ tap_stream_id: "x" }))).toThrow("it has two streams of the collection shop.a.b");
    expect(parseCatalog(twice({ tap_stream_id: "x", selected: false }), "it")).toHaveLength(1);
  });

  test("a replication method that there is not is refused for a selected stream alone", () => {
    const metadata = [of({ "replication-method": "INCREMENTAL", "forced-replication-method": "LOG_BASED" })];
    expect(() => parseCatalog({ streams: [streamOf({ metadata })] }, "it")).toThrow(
      'it: the stream shop_a_b has the replication method "INCREMENTAL"',
    );
    expect(parseCatalog({ streams: [streamOf({ metadata, selected: false })] }, "it")).toEqual([]);
    const full = [of({ "replication-method": "FULL_TABLE", "forced-replication-method": "LOG_BASED" })];
    expect(parseCatalog({ streams: [streamOf({ metadata: full })] }, "it")).toMatchObject([{ wantsChanges: false }]);
  });
});

function of(metadata: Readonly<Record<string, unknown>>): object {
  return { breadcrumb: [], metadata };
}

function schemaOf(): object {
  return { "x-mongodb-namespace": "shop.a.b", properties: PROPERTIES };
}

describe("the state", () => {
  test.each([
    undefined,
    null,
    {},
    { bookmarks: {} },
    { bookmarks: null, currently_syncing: null },
    { bookmarks: { a: {} } },
  ])("%j has no bookmarks", (value) => {
    expect(parseBookmarks(value).size).toBe(0);
  });

  test("is the value of a STATE, or the message", () => {
    const value = { bookmarks: { a: { x: 1 } }, currently_syncing: null };
    expect([...parseBookmarks(value)]).toEqual([["a", { x: 1 }]]);
    expect(parseBookmarks({ type: "STATE", value })).toEqual(parseBookmarks(value));
  });

  test.each([{ singer_state: {} }, { bookmarks: [] }, 1, "x", { type: "RECORD" }, { type: "STATE", value: { a: 1 } }])(
    "%j is refused: everything would be copied again without a word",
    (value) => {
      expect(() => parseBookmarks(value)).toThrow("the state has no bookmarks");
    },
  );

  test("a bookmark of another tap is refused where its stream is read", () => {
    const bookmarks = parseBookmarks({ bookmarks: { a: { oplog_ts_time: 1 } } });
    expect(stateOf(bookmarks, "b")).toBeUndefined();
    expect(() => stateOf(bookmarks, "a")).toThrow(
      "the state of the stream a is not one of mongotap: it lacks formatVersion",
    );
  });
});
