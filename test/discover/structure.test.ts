/** The structure of a collection, from its documents. */

import { describe, expect, test } from "bun:test";
import { Binary, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from "bson";
import fc from "fast-check";
import { StructureBuilder } from "../../src/discover/structure.ts";
import { fieldRowsOf } from "../../src/discover/field-rows.ts";
import { anyDocument, brokenDocument, field, int32, rawDocument, utf8 } from "../codec/raw-bson.ts";
import { linesOf, structureOf } from "./catalogs.ts";

test("presence is the share of documents one step above, types are shares of the values", () => {
  const documents = [{ _id: 1, a: { b: 1 } }, { _id: 2, a: { b: "x", c: true } }, { _id: 3, a: { b: 2 } }, { _id: 4 }];
  expect(linesOf(structureOf(documents))).toEqual([
    "_id: 1 int",
    "a: 0.75 object",
    "a.b: 1 int 0.667, string 0.333",
    "a.c: 0.333 bool",
  ]);
});

test("elements of arrays have rows of their own, and the presence of their fields is a share of the elements", () => {
  const documents = [
    { tags: ["a", 1, null], lines: [{ sku: 1 }, { sku: 2, gift: true }] },
    { tags: [], lines: [[1], [2]] },
  ];
  expect(linesOf(structureOf(documents))).toEqual([
    "tags: 1 array",
    "tags[]: int 0.333, null 0.333, string 0.333",
    "lines: 1 array",
    "lines[]: array 0.5, object 0.5",
    "lines[].sku: 1 int",
    "lines[].gift: 0.5 bool",
    "lines[][]: int",
  ]);
});

test("every BSON type has the name that MongoDB's $type gives it; UUIDs have their own", () => {
  const id = new ObjectId();
  const values = {
    double: new Double(1),
    string: "",
    object: {},
    array: [],
    binData: new Binary(new Uint8Array(3)),
    uuid: new UUID(),
    objectId: id,
    bool: true,
    date: new Date(),
    null: null,
    regex: /a/,
    javascript: new Code("f"),
    javascriptWithScope: new Code("f", { a: 1 }),
    int: new Int32(1),
    timestamp: new Timestamp(1n),
    long: Long.fromNumber(1),
    decimal: Decimal128.fromString("1"),
    minKey: new MinKey(),
    maxKey: new MaxKey(),
  };
  expect(linesOf(structureOf([values]))).toEqual(Object.keys(values).map((name) => `${name}: 1 ${name}`));
});

test("fields come in the order in which documents have them first", () => {
  const lines = linesOf(
    structureOf([
      { b: 1, a: 1 },
      { c: 1, a: 1, b: 1 },
    ]),
  );
  expect(lines.map((line) => line[0])).toEqual(["b", "a", "c"]);
});

test("a name that a document holds twice is present once, with all its values", () => {
  const twice = rawDocument([field("a", 0x10, int32(1)), field("a", 0x0a, new Uint8Array(0))]);
  expect(linesOf(structureOf([twice, { b: 1 }]))).toEqual(["a: 0.5 int 0.5, null 0.5", "b: 0.5 int"]);
});

test("any name is a name: __proto__, constructor, the empty one, dots, line breaks", () => {
  const documents = [JSON.parse('{"__proto__": 1, "constructor": 2, "": 3, "a.b": 4, "x\\ny": 5}') as object];
  expect(linesOf(structureOf(documents))).toEqual([
    "__proto__: 1 int",
    "constructor: 1 int",
    '[""]: 1 int',
    '["a.b"]: 1 int',
    '["x\\ny"]: 1 int',
  ]);
});

test("a document is counted once, however many values of a field it has", () => {
  const rows = fieldRowsOf(structureOf([{ a: [{ n: 1 }, { n: 2 }, { n: "x" }] }, { a: [{ n: 3 }] }, {}]));
  const found = rows.find(({ path }) => path === "a[].n");
  expect(found).toMatchObject({ values: 4, documents: 2, presence: 1 });
  expect(found?.types).toEqual([
    { type: "int", share: 0.75, documents: 2 },
    { type: "string", share: 0.25, documents: 1 },
  ]);
});

describe("examples", () => {
  const documents = [
    { name: "Jane Doe-42", at: new Date(0), paid: true, n: 12.5, b: new Binary(new Uint8Array(500)), x: null },
    { name: "Zoë", at: new Date(0), paid: false, n: 3 },
    { name: "c".repeat(100) },
    { name: "a fourth one" },
  ];
  const examplesOf = (choice: "none" | "masked" | "shown"): Record<string, readonly string[]> =>
    Object.fromEntries(fieldRowsOf(structureOf(documents, choice)).map(({ path, examples }) => [path, examples]));

  test("are not kept by default: documents hold personal data", () => {
    expect(Object.values(examplesOf("none")).flat()).toEqual([]);
  });

  test("are the first three distinct ones, cut if they are long", () => {
    expect(examplesOf("shown")).toEqual({
      name: ["Jane Doe-42", "Zoë", `${"c".repeat(48)}…`],
      at: ["1970-01-01T00:00:00.000Z"],
      paid: ["true", "false"],
      n: ["12.5", "3"],
      b: ["500 bytes"],
      x: [],
    });
  });

  test("masked show the form of values, without their letters and digits", () => {
    expect(examplesOf("masked")).toMatchObject({
      name: ["Xxxx Xxx-99", "Xxx", `${"x".repeat(48)}…`],
      at: ["9999-99-99X99:99:99.999X"],
      paid: ["true", "false"],
      n: ["99.9", "9"],
    });
  });

  test("masked have no letter or digit of the value (any text)", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const [row] = fieldRowsOf(structureOf([{ a: text }], "masked"));
        expect(row?.examples.join("")).not.toMatch(/[[\p{L}\p{N}]--[xX9]]/v);
      }),
    );
  });
});

describe("whatever the documents hold", () => {
  test("every valid document is counted, and none as corrupt", () => {
    fc.assert(
      fc.property(fc.array(anyDocument, { maxLength: 5 }), (documents) => {
        const { documents: count, corrupt } = structureOf(documents, "shown");
        expect({ count, corrupt }).toEqual({ count: documents.length, corrupt: 0 });
      }),
    );
  });

  test("a corrupt document is counted and does not end the sample", () => {
    fc.assert(
      fc.property(brokenDocument, (bytes) => {
        const { documents, corrupt } = structureOf([bytes, rawDocument([field("a", 0x10, int32(1))])], "shown");
        expect(documents).toBe(2);
        expect(corrupt).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("values nested too deep are not inspected, and their row is marked as truncated", () => {
    let deep: object = { end: 1 };
    for (let i = 0; i < 100; i += 1) deep = { d: deep };
    const rows = fieldRowsOf(structureOf([deep]));
    expect(rows.length).toBe(32);
    expect(rows.at(-1)).toMatchObject({ isTruncated: true, types: [{ type: "object" }] });
  });

  test("a document may begin anywhere in the bytes of a reply", () => {
    const document = rawDocument([field("a", 0x02, Uint8Array.of(2, 0, 0, 0, ...utf8("x"), 0))]);
    const builder = new StructureBuilder();
    builder.add(Uint8Array.from([9, 9, 9, ...document]), 3);
    expect(linesOf(builder.finish())).toEqual(["a: 1 string"]);
  });
});
