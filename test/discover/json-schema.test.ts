/** The JSON Schema against the lines of a backfill, by an independent validator. */

import { describe, expect, test } from "bun:test";
import { Binary, Code, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, serialize, Timestamp, UUID } from "bson";
import fc from "fast-check";
import { createTranscoder, type Format } from "../../src/codec/transcode.ts";
import { asJsonSchema } from "../../src/discover/as-jsonschema.ts";
import { documents } from "../support/documents.ts";
import { anyDocument } from "../codec/raw-bson.ts";
import { runs } from "../codec/runs.ts";
import { jsonOf } from "../codec/transcoders.ts";
import { catalogOf, entryOf, structureOf } from "./catalogs.ts";
import { checkFor } from "./validator.ts";

/** Each run compiles a schema, which is slow. */
const RUNS = runs(20);

const FORMATS: readonly Format[] = ["relaxed", "canonical", "plain"];

/** The schema of `shop.orders` after these documents. */
function schemaOf(found: readonly (object | Uint8Array)[], format: Format = "relaxed"): Record<string, unknown> {
  const entry = entryOf([]);
  const structure = structureOf(found);
  const sampled = { how: "all", documents: found.length, bytes: 0, cut: null, structure } as const;
  return JSON.parse(asJsonSchema(catalogOf([{ ...entry, sampled }], ["shop.orders"]), format)) as Record<
    string,
    unknown
  >;
}

/** The line that `backfill` prints of a document, parsed. */
function lineOf(document: object | Uint8Array, format: Format): unknown {
  const bytes = document instanceof Uint8Array ? document : serialize(document);
  return JSON.parse(jsonOf(createTranscoder({ format }), bytes));
}

describe("accepts every sampled line", () => {
  test.each(FORMATS)("%s: documents with every type", (format) => {
    fc.assert(
      fc.property(fc.array(anyDocument, { minLength: 1, maxLength: 6 }), (found) => {
        const check = checkFor(schemaOf(found, format));
        for (const document of found) expect(check(lineOf(document, format))).toEqual([]);
      }),
      RUNS,
    );
  });

  test.each(FORMATS)("%s: usual documents, and those with dynamic keys", (format) => {
    const found = [...documents("typical", 200), ...documents("small", 50)].map((document, i) => ({
      ...document,
      by: { [new ObjectId().toHexString()]: i % 2 === 0 ? i : { at: new Date() } },
    }));
    const schema = schemaOf(found, format);
    const check = checkFor(schema);
    for (const document of found) expect(check(lineOf(document, format))).toEqual([]);
    expect(schema).toHaveProperty("properties.by.additionalProperties");
  });
});

/** A value of each kind, and others that its schema must reject. */
const KINDS: readonly (readonly [name: string, value: unknown, ...others: unknown[]])[] = [
  ["int", 1, "1", 1.5, null],
  ["long", Long.fromString("9007199254740993"), "1", true],
  ["double", new Double(1.5), "1.5", true],
  ["string", "a", 1, null],
  ["bool", true, 1, "true"],
  ["null", null, 0, "null"],
  ["objectId", new ObjectId(), "65f0", 5, { $oid: "0123456789abcdef01234567", more: 1 }],
  ["date", new Date(0), 5, "yesterday"],
  ["decimal", Decimal128.fromString("1.5"), 1.5],
  ["binary", new Binary(Uint8Array.of(1)), 1],
  ["UUID", new UUID(), 1],
  ["timestamp", new Timestamp(1n), "1"],
  ["regex", /a/i, "a"],
  ["code", new Code("f()"), "f()"],
  ["code with scope", new Code("f()", { a: 1 }), "f()"],
  ["minKey", new MinKey(), 1, new MaxKey()],
  ["document", { b: 1 }, { b: "1" }, {}, 1, [1]],
  ["array", [1, 2], ["1"], 1, { b: 1 }],
];

describe("rejects types that were not sampled", () => {
  for (const format of FORMATS) {
    test.each(KINDS)(`${format}: where all values are %s`, (_name, value, ...others) => {
      const check = checkFor(schemaOf([{ a: value }], format));
      expect(check(lineOf({ a: value }, format))).toEqual([]);
      for (const other of others) expect(check(lineOf({ a: other }, format))).not.toEqual([]);
      expect(check({})).not.toEqual([]);
      // A new field is accepted.
      expect(check(lineOf({ a: value, later: 1 }, format))).toEqual([]);
    });
  }
});

test.each(["relaxed", "plain"] as const)("%s: NaN and the infinities are no numbers", (format) => {
  const number = { a: new Double(1.5) };
  const odd = { a: new Double(Number.NaN) };
  expect(checkFor(schemaOf([number], format))(lineOf(odd, format))).not.toEqual([]);
  expect(checkFor(schemaOf([odd], format))(lineOf(number, format))).not.toEqual([]);
});

test("dates have the wrapper of the format: ISO text from 1970 to 9999, else a number", () => {
  const near = { a: new Date(0) };
  const far = { a: new Date(-1) };
  expect(checkFor(schemaOf([near]))(lineOf(far, "relaxed"))).not.toEqual([]);
  expect(checkFor(schemaOf([far]))(lineOf(near, "relaxed"))).not.toEqual([]);
  const both = checkFor(schemaOf([near, far]));
  expect([...both(lineOf(near, "relaxed")), ...both(lineOf(far, "relaxed"))]).toEqual([]);
  expect(schemaOf([near, far], "plain")).toHaveProperty("properties.a.format", "date-time");
  expect(schemaOf([{ a: new Date(-1e14) }], "plain")).not.toHaveProperty("properties.a.format");
});

test("fields of every document are required, at every depth; others are not", () => {
  const schema = schemaOf([
    { a: 1, b: { c: 1, d: 1 } },
    { a: 1, b: { c: 2 }, e: 1 },
  ]);
  expect(schema).toMatchObject({ required: ["a", "b"], properties: { b: { required: ["c"] } } });
});

test("is the same text for the same fields, whatever the order of the documents", () => {
  const found = [...documents("typical", 50)];
  const turned = found.toReversed().map((document) => Object.fromEntries(Object.entries(document).toReversed()));
  expect(JSON.stringify(schemaOf(turned))).toBe(JSON.stringify(schemaOf(found)));
});

test("a single named collection is the schema itself; several are definitions in one schema", () => {
  const entries = [
    entryOf([{ _id: new ObjectId() }]),
    entryOf(undefined, { info: { namespace: { db: "shop", collection: "paid.by.x" } } }),
  ];
  const bundle = JSON.parse(asJsonSchema(catalogOf(entries, ["shop"]), "relaxed")) as {
    $defs: Record<string, unknown>;
  };
  expect(Object.keys(bundle.$defs)).toEqual(["shop.orders", "shop.paid.by.x", "objectId"]);
  expect(bundle.$defs["shop.paid.by.x"]).toEqual({ title: "shop.paid.by.x", type: "object" });
  const check = checkFor({ ...bundle, $ref: "#/$defs/shop.orders" });
  expect(check(lineOf({ _id: new ObjectId() }, "relaxed"))).toEqual([]);
  expect(check({})).not.toEqual([]);
});
