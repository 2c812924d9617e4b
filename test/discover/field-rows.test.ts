/** Paths as text are readable and unique. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { dynamicPath, elementsPath, fieldPath, parentOf, printable } from "../../src/discover/field-rows.ts";

/** A step from a path to one below it. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: "grapheme" }).map((name) => (parent: string) => fieldPath(parent, name)) },
  {
    weight: 3,
    arbitrary: fc
      .string({ unit: fc.constantFrom(".", "[", "]", '"', "*", "\\", "a", "\n", "\u2028") })
      .map((name) => (parent: string) => fieldPath(parent, name)),
  },
  fc.constant(elementsPath),
  fc.constant(dynamicPath),
);

const steps = fc.array(step, { minLength: 1, maxLength: 5 });

test("usual names are joined by dots; ambiguous names are quoted", () => {
  expect(fieldPath("", "_id")).toBe("_id");
  expect(fieldPath("customer.address", "zip")).toBe("customer.address.zip");
  expect(fieldPath(elementsPath("lines"), "sku")).toBe("lines[].sku");
  expect(dynamicPath("scores")).toBe("scores.*");
  expect(fieldPath("totals", "a.b")).toBe('totals["a.b"]');
  expect(fieldPath("", "")).toBe('[""]');
  expect(fieldPath("a", "*")).toBe('a["*"]');
  expect(fieldPath("a", "first name")).toBe('a["first name"]');
  expect(fieldPath("a", "grüße")).toBe("a.grüße");
});

test("parentOf() returns the path that a path was made from (any names)", () => {
  fc.assert(
    fc.property(steps, (down) => {
      let path = "";
      for (const go of down) {
        const parent = path;
        path = go(parent);
        expect(parentOf(path)).toBe(parent);
      }
    }),
  );
});

test("distinct names have distinct paths", () => {
  const anyName = fc.string({ unit: fc.constantFrom(".", "[", "]", '"', "*", "\\", "a", "\n", " ", "u", "0") });
  fc.assert(
    fc.property(anyName, anyName, (a, b) => {
      fc.pre(a !== b);
      expect(fieldPath("x", a)).not.toBe(fieldPath("x", b));
    }),
  );
});

test("control and format characters are escaped", () => {
  expect(printable("a\u001b[31mb\r\n\u2028\u200e")).toBe("a\\u001b[31mb\\u000d\\u000a\\u2028\\u200e");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => {
      expect(fieldPath("", name)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
    }),
  );
});
