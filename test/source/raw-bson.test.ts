import { expect, test } from "bun:test";
import fc from "fast-check";
import { BSON, Int32, Long } from "mongodb";
import {
  arrayElement,
  document,
  documentElement,
  element,
  elementsOf,
  idFilterElement,
  rawValue,
} from "../../src/source/raw-bson.ts";
import { anyValue, concat, field, int32, rawDocument, utf8 } from "../codec/raw-bson.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("any value stays the bytes that it is: in an element, a document, an array", () => {
  const property = fc.property(fc.array(anyValue, { maxLength: 25 }), fc.nat(9), (values, padding) => {
    const raw = values.map(({ type, body }) => {
      const bytes = concat(new Uint8Array(padding), body, new Uint8Array(3));
      return { type, bytes, begin: padding, end: padding + body.length };
    });
    const fields = values.map((value, index) => ({ name: utf8(String(index)), value }));
    const array = rawDocument(fields);
    expect(hex(arrayElement("é", raw))).toBe(hex(concat(Uint8Array.of(4), utf8("é\0"), array)));
    expect(hex(document(...raw.map((value, index) => element(String(index), value))))).toBe(hex(array));
    expect(hex(documentElement("a", element("", rawValue(3, array))))).toBe(
      hex(concat(Uint8Array.of(3), utf8("a\0"), rawDocument([field("", 3, array)]))),
    );
  });
  fc.assert(property);
});

test("an array of 10,000 values has the names that the driver gives them", () => {
  const numbers = Array.from({ length: 10_001 }, (_, i) => i);
  const raw = numbers.map((number) => rawValue(0x10, int32(number)));
  const expected = BSON.serialize({ filter: { _id: { $in: numbers } } }).subarray(4, -1);
  expect(hex(idFilterElement(raw))).toBe(hex(expected));
});

test("elementsOf() serializes as the driver does", () => {
  expect(hex(elementsOf({}))).toBe("");
  const values = { a: new Int32(1), b: { c: [Long.ONE, null] } };
  expect(hex(document(elementsOf(values)))).toBe(hex(BSON.serialize(values)));
});
