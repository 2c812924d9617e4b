import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BSON, BSONSymbol, Code, Decimal128, Double, Int32, Long } from "mongodb";
import { equalKeys } from "../../src/source/equal-keys.ts";
import { type RawValue, rawValue } from "../../src/source/raw-bson.ts";
import { anyValue } from "../codec/raw-bson.ts";

/** The bytes of a value, as the driver serializes it. */
function raw(value: unknown): RawValue {
  const bytes = BSON.serialize({ v: value });
  return { type: bytes[4] ?? 0, bytes, begin: 7, end: bytes.length - 1 };
}

const decimal = (text: string): Decimal128 => Decimal128.fromString(text);

/** Coefficients and exponents that the standard does not allow count as 0. */
const notCanonical = (): Decimal128 => new Decimal128(new Uint8Array(16).fill(0xff, 0, 14).fill(0x6c, 14));

describe("equalKeys()", () => {
  test.each([
    [new Int32(1), Long.fromNumber(1), true],
    [new Int32(1), new Double(1), true],
    [Long.fromNumber(1), new Double(1), true],
    [new Int32(-7), decimal("-7.000"), true],
    [new Double(0.5), decimal("0.50"), true],
    [new Double(0.1), decimal("0.1"), false],
    [new Double(0.1), decimal("0.1000000000000000055511151231257827"), false],
    [new Double(2 ** 100), decimal("1267650600228229401496703205376"), true],
    [new Double(2 ** -20), decimal("9.5367431640625E-7"), true],
    [new Double(Number.MIN_VALUE), new Double(0), false],
    [decimal("1E+3"), new Int32(1_000), true],
    [decimal("1E+6000"), decimal("1E+6001"), false],
    [decimal("10E+6000"), decimal("1E+6001"), true],
    [new Double(0), new Double(-0), true],
    [decimal("-0E+10"), new Int32(0), true],
    [notCanonical(), new Int32(0), true],
    [new Int32(1), new Int32(2), false],
    [new Int32(1), new Int32(-1), false],
    [new Double(1.5), new Int32(1), false],
    [Long.fromString("9007199254740993"), new Double(9007199254740992), false],
    [Long.MIN_VALUE, new Double(-(2 ** 63)), true],
    [Long.MAX_VALUE, new Double(2 ** 63), false],
    [new Double(Number.NaN), decimal("NaN"), true],
    [new Double(Number.POSITIVE_INFINITY), decimal("Infinity"), true],
    [new Double(Number.NEGATIVE_INFINITY), decimal("Infinity"), false],
    [new Double(Number.POSITIVE_INFINITY), new Double(Number.NaN), false],
    ["1", new Int32(1), false],
    ["a", new BSONSymbol("a"), true],
    ["a", "b", false],
    ["a", new Code("a"), false],
    [null, new Int32(0), false],
    [{ a: 1 }, { a: new Double(1) }, true],
    [{ a: { b: [new Int32(1), "x"] } }, { a: { b: [decimal("1.0"), "x"] } }, true],
    [{ a: 1 }, { b: 1 }, false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, false],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: [1] }, { a: { "0": 1 } }, false],
    [{ a: [1] }, { a: [1, 1] }, false],
    [new Code("f()", { a: 1 }), new Code("f()", { a: new Double(1) }), true],
    [new Code("f()", { a: 1 }), new Code("g()", { a: 1 }), false],
  ])("of %p and %p is %p", (left, right, expected) => {
    expect(equalKeys(raw(left), raw(right))).toBe(expected);
    expect(equalKeys(raw(right), raw(left))).toBe(expected);
  });

  test("is true of any value and its copy", () => {
    const property = fc.property(anyValue, ({ type, body }) => {
      expect(equalKeys(rawValue(type, body), rawValue(type, body.slice()))).toBe(true);
    });
    fc.assert(property);
  });

  test("of doubles and their decimals is exact", () => {
    const property = fc.property(fc.integer(), fc.integer({ min: 0, max: 40 }), (digits, power) => {
      const double = new Double(digits / 2 ** power);
      const exact = (BigInt(digits) * 5n ** BigInt(power)).toString();
      if (exact.length > 34) return;
      expect(equalKeys(raw(double), raw(decimal(`${exact}E-${power}`)))).toBe(true);
      expect(equalKeys(raw(double), raw(decimal(`${BigInt(exact) + 1n}E-${power}`)))).toBe(false);
    });
    fc.assert(property);
  });
});
