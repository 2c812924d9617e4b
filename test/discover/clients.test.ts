/** The catalogs for Airbyte and Singer meet the demands of their clients. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { asAirbyte } from "../../src/discover/as-airbyte.ts";
import { asSinger } from "../../src/discover/as-singer.ts";
import type { CatalogEntry } from "../../src/discover/catalog.ts";
import { streamNames } from "../../src/discover/streams.ts";
import { anyDocument } from "../codec/raw-bson.ts";
import { runs } from "../codec/runs.ts";
import { catalogOf, entryOf, structureOf } from "./catalogs.ts";
import { ORDERS, plainLineOf, VIEW } from "./orders.ts";
import { checkFor } from "./validator.ts";

interface Stream {
  readonly name: string;
  readonly json_schema: { readonly properties: Readonly<Record<string, unknown>> };
  readonly [more: string]: unknown;
}

interface Tap {
  readonly tap_stream_id: string;
  readonly schema: { readonly properties: Readonly<Record<string, unknown>> };
  readonly metadata: readonly {
    readonly breadcrumb: readonly string[];
    readonly metadata: Readonly<Record<string, unknown>>;
  }[];
  readonly [more: string]: unknown;
}

function airbyte(...entries: readonly CatalogEntry[]): Stream[] {
  const message = JSON.parse(asAirbyte(catalogOf(entries))) as { type: string; catalog: { streams: Stream[] } };
  expect(message.type).toBe("CATALOG");
  return message.catalog.streams;
}

function singer(...entries: readonly CatalogEntry[]): Tap[] {
  return (JSON.parse(asSinger(catalogOf(entries))) as { streams: Tap[] }).streams;
}

function sampledAs(documents: readonly Uint8Array[]): CatalogEntry {
  const structure = structureOf(documents);
  return { ...entryOf([]), sampled: { how: "all", documents: documents.length, bytes: 0, cut: null, structure } };
}

describe("columns for Airbyte and Singer", () => {
  test("accept every sampled value", () => {
    fc.assert(
      fc.property(fc.array(anyDocument, { minLength: 1, maxLength: 5 }), (documents) => {
        const entry = sampledAs(documents);
        const [stream] = airbyte(entry);
        const [tap] = singer(entry);
        for (const schema of [stream?.json_schema, tap?.schema]) {
          const check = checkFor(schema ?? {});
          for (const document of documents) expect(check(plainLineOf(document))).toEqual([]);
        }
      }),
      runs(30),
    );
  });

  test("are nullable, have all sampled types, and are dates only if all values are", () => {
    const [tap] = singer(entryOf(ORDERS));
    expect(tap?.schema.properties).toEqual({
      _id: { type: ["null", "string"] },
      at: { type: ["null", "string"], format: "date-time" },
      lines: {
        type: ["null", "array"],
        items: { type: ["null", "object"], properties: { sku: { type: ["null", "integer"] } } },
      },
      mixed: { type: ["null", "integer", "string"] },
      n: { type: ["null", "number"] },
      nothing: { type: ["null", "array", "boolean", "integer", "number", "object", "string"] },
      odd: { type: ["null", "number", "string"] },
      rate: { type: ["null", "number"] },
      to: {
        type: ["null", "object"],
        properties: {
          city: { type: ["null", "string"] },
          zip: { type: ["null", "array", "boolean", "integer", "number", "object", "string"] },
        },
      },
      total: { type: ["null", "string"] },
    });
    expect(singer(entryOf([{ at: new Date(-1e14) }, { at: "soon" }]))[0]?.schema.properties["at"]).toEqual({
      type: ["null", "string"],
    });
  });

  test("have no reference, no anyOf, no closed object and no boolean schema", () => {
    const text = `${asAirbyte(catalogOf([entryOf(ORDERS)]))}${asSinger(catalogOf([entryOf(ORDERS)]))}`;
    expect(text).not.toMatch(/"(\$ref|anyOf|allOf|oneOf|not|additionalProperties|\$defs)"/);
    expect(text).not.toMatch(/"(items|properties)": ?(true|false)/);
  });

  test("of an empty collection are its key alone", () => {
    const key = { type: ["null", "boolean", "integer", "number", "string"] };
    expect(singer(entryOf([]))[0]?.schema.properties).toEqual({ _id: key });
    expect(singer(entryOf(undefined))[0]?.schema.properties).toEqual({ _id: key });
  });
});

describe("--as airbyte", () => {
  test("declares which streams are incremental, with cursor and key", () => {
    const [orders, paid] = airbyte(entryOf(ORDERS), VIEW);
    expect(orders).toMatchObject({
      name: "shop.orders",
      supported_sync_modes: ["full_refresh", "incremental"],
      source_defined_cursor: true,
      default_cursor_field: ["_ab_cdc_cursor"],
      source_defined_primary_key: [["_id"]],
      is_resumable: true,
    });
    expect(Object.keys(orders?.json_schema.properties ?? {})).toEqual(
      expect.arrayContaining(["_id", "_ab_cdc_cursor", "_ab_cdc_deleted_at", "_ab_cdc_updated_at"]),
    );
    expect(paid).toEqual({
      name: "shop.paid",
      json_schema: expect.objectContaining({ properties: { n: { type: ["null", "integer"] } } }),
      supported_sync_modes: ["full_refresh"],
      is_resumable: false,
    });
  });

  test("is one message on one line", () => {
    expect(
      asAirbyte(catalogOf([entryOf(ORDERS), VIEW]))
        .trimEnd()
        .split("\n").length,
    ).toBe(1);
  });
});

describe("--as singer", () => {
  test("has metadata for the stream and for every property, at every depth", () => {
    const [orders, paid] = singer(entryOf(ORDERS), VIEW);
    expect(orders).toMatchObject({ tap_stream_id: "shop_orders", stream: "shop_orders", key_properties: ["_id"] });
    const [stream, ...properties] = orders?.metadata ?? [];
    expect(stream).toEqual({
      breadcrumb: [],
      metadata: {
        inclusion: "available",
        "selected-by-default": true,
        "table-key-properties": ["_id"],
        "forced-replication-method": "LOG_BASED",
        "database-name": "shop",
        "is-view": false,
        "row-count": 2,
      },
    });
    expect(properties.map(({ breadcrumb }) => breadcrumb.join("/"))).toEqual(
      [
        "_id",
        "at",
        "lines",
        "mixed",
        "n",
        "nothing",
        "odd",
        "rate",
        "to",
        "to/properties/city",
        "to/properties/zip",
        "total",
      ].map((name) => `properties/${name}`),
    );
    expect(properties[0]?.metadata).toEqual({ inclusion: "automatic" });
    expect(properties[1]?.metadata).toEqual({ inclusion: "available", "selected-by-default": true });
    expect(paid?.key_properties).toEqual([]);
    expect(paid?.metadata[0]?.metadata).toMatchObject({ "forced-replication-method": "FULL_TABLE", "is-view": true });
  });
});

describe("names of streams", () => {
  const namesOf = (...collections: readonly string[]): string[] => {
    const namespaces = collections.map((collection) => ({ db: "shop", collection }));
    return [...streamNames(namespaces, ({ db, collection }) => `${db}.${collection}`).values()];
  };

  test("are the namespaces; of two that a client would merge, the plainer one stays as it is", () => {
    expect(namesOf("orders", "users")).toEqual(["shop.orders", "shop.users"]);
    const names = namesOf("Orders", "orders", "a.b", "a_b", "c");
    expect(names).toEqual([
      expect.stringMatching(/^shop\.Orders_[0-9a-f]{6}$/),
      "shop.orders",
      expect.stringMatching(/^shop\.a\.b_[0-9a-f]{6}$/),
      "shop.a_b",
      "shop.c",
    ]);
    expect(namesOf("a b", "a-b", "a.b").filter((name) => /^shop\.a.b$/.test(name))).toHaveLength(1);
    expect(namesOf("Orders", "orders", "a.b", "a_b", "c")).toEqual(names);
  });

  test("contain a character that every client keeps in a table name", () => {
    const [name] = [
      ...streamNames([{ db: "店", collection: "注文" }], ({ db, collection }) => `${db}.${collection}`).values(),
    ];
    expect(name).toMatch(/^店\.注文_[0-9a-f]{6}$/);
  });

  test("for Singer have no dot, which Meltano requires to be escaped, and no dash, at which SQL targets cut", () => {
    const idsOf = (...collections: readonly string[]): (string | undefined)[] => {
      const entries = collections.map((collection) =>
        entryOf([], { info: { namespace: { db: "my-shop", collection } } }),
      );
      return singer(...entries).map(({ tap_stream_id: id }) => id);
    };
    expect(idsOf("orders.2024 (old)", "eu-orders")).toEqual(["my_shop_orders_2024_old_", "my_shop_eu_orders"]);
    expect(new Set(idsOf("a.b", "a-b", "a_b")).size).toBe(3);
    expect(idsOf("a.b", "a-b", "a_b")[2]).toBe("my_shop_a_b");
    const [japanese, chinese] = idsOf("注文", "订单");
    expect([japanese, chinese]).toEqual(Array(2).fill(expect.stringMatching(/^my_shop___[0-9a-f]{6}$/)));
    expect(japanese).not.toBe(chinese);
    expect(idsOf("注文")).toEqual([japanese]);
  });
});
