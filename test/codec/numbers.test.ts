import { describe, expect, test } from "bun:test";
import { Decimal128 } from "bson";
import fc from "fast-check";
import { BSON } from "../../src/codec/bson.ts";
import { concat, double, int32, int64, oneField } from "./raw-bson.ts";
import { jsonOf, MAKERS } from "./transcoders.ts";
import { runs } from "./runs.ts";

/** The JSON of the value of the one field. */
const cut = (json: string): string => json.slice('{"a":'.length, -1);

/** Go's format 'G', as in the BSON corpus, from the shortest digits of JavaScript. */
function expectedDouble(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [digits = "", power = ""] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 6) {
    return `${digits}E${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const plain = String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

const SPECIAL_DOUBLES = [
  5e-324, 2.225_073_858_507_201e-308, 1.797_693_134_862_315_7e308, 9_007_199_254_740_992, 1e21, 1e23, 123_456.75, 0.1,
  0.3, 0.5, 0.05, 0.25, 0.001, 0.0001, 0.000_012_3, 100, 99_999, 999_999, 999_999.99, 1_000_000, 4.35, 8.41,
];

/** Hard doubles: powers, edges of binades, halves, the ends of the range. */
const HARD_DOUBLES = [
  ...Array.from({ length: 2098 }, (_, index) => 2 ** (index - 1074)),
  ...Array.from({ length: 633 }, (_, index) => Number(`1e${index - 324}`)),
  ...Array.from({ length: 633 }, (_, index) => Number(`9.999999999999999e${index - 324}`)),
  ...SPECIAL_DOUBLES,
].filter(Number.isFinite);

for (const [maker, make] of MAKERS) {
  const relaxed = make({ format: "relaxed" });
  const plain = make({ format: "plain" });

  describe(`${maker}: doubles`, () => {
    const expectDouble = (value: number): void => {
      const text = cut(jsonOf(relaxed, oneField(BSON.double, double(value))));
      expect(text).toBe(expectedDouble(value));
      expect(Object.is(Number(text), value)).toBe(true);
    };

    test("are the shortest text that reads back the same (hard ones)", () => {
      for (const value of HARD_DOUBLES) {
        expectDouble(value);
        expectDouble(-value);
      }
    });

    test("are the shortest text that reads back the same (any)", () => {
      fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), expectDouble), runs(750));
      fc.assert(
        fc.property(fc.integer(), fc.nat(8), (whole, digits) => expectDouble(whole / 10 ** digits)),
        runs(750),
      );
    });
  });

  describe(`${maker}: integers`, () => {
    test("of 64 bits are exact", () => {
      const powers = Array.from({ length: 19 }, (_, index) => 10n ** BigInt(index));
      const edges = [0n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, ...powers, ...powers.map((power) => power - 1n)];
      for (const value of [...edges, ...edges.map((edge) => BigInt.asIntN(64, -edge))]) {
        expect(cut(jsonOf(relaxed, oneField(BSON.int64, int64(value))))).toBe(String(value));
      }
      fc.assert(
        fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(63), (wide, shift) => {
          const value = wide >> BigInt(shift);
          expect(cut(jsonOf(relaxed, oneField(BSON.int64, int64(value))))).toBe(String(value));
        }),
        runs(125),
      );
    });

    test("of 32 bits, and the halves of a timestamp, are exact", () => {
      fc.assert(
        fc.property(fc.integer(), fc.nat(31), fc.integer(), (wide, shift, other) => {
          const value = wide >> shift;
          expect(cut(jsonOf(relaxed, oneField(BSON.int32, int32(value))))).toBe(String(value));
          const timestamp = oneField(BSON.timestamp, concat(int32(value), int32(other)));
          expect(cut(jsonOf(relaxed, timestamp))).toBe(`{"$timestamp":{"t":${other >>> 0},"i":${value >>> 0}}}`);
        }),
        runs(125),
      );
    });
  });

  describe(`${maker}: decimals`, () => {
    test("of up to 34 digits equal those of the bson package", () => {
      fc.assert(
        fc.property(
          fc.bigInt({ min: 0n, max: 10n ** 34n - 1n }),
          fc.nat(34),
          fc.oneof(fc.integer({ min: -6176, max: 6111 }), fc.integer({ min: -45, max: 3 })),
          fc.boolean(),
          (digits, fewer, exponent, isNegative) => {
            const significand = digits / 10n ** BigInt(fewer);
            const bits = (isNegative ? 1n << 127n : 0n) | (BigInt(exponent + 6176) << 113n) | significand;
            const bytes = concat(int64(BigInt.asIntN(64, bits)), int64(BigInt.asIntN(64, bits >> 64n)));
            const text = cut(jsonOf(plain, oneField(BSON.decimal128, bytes)));
            expect(text).toBe(`"${new Decimal128(bytes).toString()}"`);
          },
        ),
        runs(375),
      );
    });

    test("of a significand that IEEE 754 forbids are zero", () => {
      for (const top of ["3041ed09bead87c0378d8e6400000000", "6c10000000000000000000000000002a"]) {
        const bytes = Uint8Array.from(top.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)).toReversed();
        expect(cut(jsonOf(plain, oneField(BSON.decimal128, bytes)))).toMatch(/^"0(E[+-]\d+)?"$/);
      }
      const largest = Uint8Array.from("3041ed09bead87c0378d8e63ffffffff".match(/../g) ?? [], (pair) =>
        Number.parseInt(pair, 16),
      );
      expect(cut(jsonOf(plain, oneField(BSON.decimal128, largest.toReversed())))).toBe(`"${"9".repeat(34)}"`);
    });
  });

  describe(`${maker}: dates`, () => {
    const plainDate = (ms: bigint): string => cut(jsonOf(plain, oneField(BSON.date, int64(ms)))).slice(1, -1);
    const relaxedDate = (ms: bigint): string => cut(jsonOf(relaxed, oneField(BSON.date, int64(ms))));

    test("equal those of Date, within its range", () => {
      fc.assert(
        fc.property(
          fc.oneof(
            fc.bigInt({ min: -8_640_000_000_000_000n, max: 8_640_000_000_000_000n }),
            fc.bigInt({ min: 0n, max: 253_402_300_799_999n }),
          ),
          (ms) => {
            const iso = new Date(Number(ms)).toISOString();
            expect(plainDate(ms)).toBe(iso);
            const isIso = ms >= 0n && ms < 253_402_300_800_000n;
            expect(relaxedDate(ms)).toBe(
              isIso ? `{"$date":"${iso.replace(".000Z", "Z")}"}` : `{"$date":{"$numberLong":"${ms}"}}`,
            );
          },
        ),
        runs(375),
      );
    });

    test("are right on both sides of an edge", () => {
      for (const edge of [
        0n,
        253_402_300_800_000n,
        -62_167_219_200_000n,
        951_782_400_000n,
        1_709_164_800_000n,
        4_107_456_000_000n,
      ]) {
        for (const ms of [edge - 1n, edge, edge + 86_400_000n]) {
          expect(plainDate(ms)).toBe(new Date(Number(ms)).toISOString());
        }
      }
      expect(plainDate(2n ** 63n - 1n)).toBe("+292278994-08-17T07:12:55.807Z");
      expect(plainDate(-(2n ** 63n))).toBe("-292275055-05-16T16:47:04.192Z");
      expect(plainDate(2n ** 62n)).toMatch(/^\+146140482-\d\d-\d\dT\d\d:\d\d:\d\d\.904Z$/);
    });
  });
}
