/**
 * Decimal128 as text, exact, from its bytes (IEEE 754-2008 decimal128, binary integer significand).
 * Text form: https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md#to-string-representation
 */

import { readInt32, readUint32 } from "./bson.ts";
import { writeAscii } from "./double.ts";
import { writeInt32, writeUint64 } from "./numbers.ts";

const BIAS = 6176;
const LARGEST = 10n ** 34n - 1n;

/** The most bytes that writeDecimal128 writes: sign, 34 digits, point, `E-6176`. */
export const DECIMAL128_BYTES = 48;

const digits = new Uint8Array(40);

/** Writes the decimal128 at `at` and returns where it stopped: `12.50`, `1E+3`, `NaN`, `-Infinity`. */
export function writeDecimal128(out: Uint8Array, to: number, bytes: Uint8Array, at: number): number {
  const top = readUint32(bytes, at + 12);
  // 11111 behind the sign is NaN, whose sign and payload have no text; 11110 is infinity.
  if ((top & 0x7c000000) === 0x7c000000) return writeAscii(out, to, "NaN");
  if (top >= 0x80000000) out[to++] = 0x2d;
  if ((top & 0x7c000000) === 0x78000000) return writeAscii(out, to, "Infinity");
  // With 11 behind the sign the exponent lies two bits lower and the significand is larger than 10^34 - 1: not
  // canonical, which means zero.
  const large = (top & 0x60000000) === 0x60000000;
  const exponent = ((large ? top >>> 15 : top >>> 17) & 0x3fff) - BIAS;
  const count = large ? writeZero() : writeSignificand(bytes, at, top & 0x1ffff);
  return writeScaled(out, to, count, exponent);
}

function writeZero(): number {
  digits[0] = 0x30;
  return 1;
}

/** Writes the digits of the 113-bit significand to `digits` and returns how many. */
function writeSignificand(bytes: Uint8Array, at: number, top: number): number {
  const third = readInt32(bytes, at + 8);
  if (top === 0 && third === 0) return writeUint64(digits, 0, readInt32(bytes, at), readInt32(bytes, at + 4));
  const high = (BigInt(top) << 32n) | BigInt(third >>> 0);
  const low = (BigInt(readUint32(bytes, at + 4)) << 32n) | BigInt(readUint32(bytes, at));
  const significand = (high << 64n) | low;
  return significand > LARGEST ? writeZero() : writeAscii(digits, 0, significand.toString());
}

/** Writes `count` of `digits` × 10^exponent. */
function writeScaled(out: Uint8Array, to: number, count: number, exponent: number): number {
  const scientific = exponent + count - 1;
  if (exponent > 0 || scientific < -6) {
    out[to++] = digits[0] as number;
    if (count > 1) to = writePoint(out, to, 1, count);
    out[to++] = 0x45;
    if (scientific >= 0) out[to++] = 0x2b;
    return writeInt32(out, to, scientific);
  }
  const whole = count + exponent;
  if (whole > 0) {
    for (let i = 0; i < whole; i++) out[to++] = digits[i] as number;
    return exponent === 0 ? to : writePoint(out, to, whole, count);
  }
  out[to++] = 0x30;
  out[to++] = 0x2e;
  for (let i = whole; i < 0; i++) out[to++] = 0x30;
  for (let i = 0; i < count; i++) out[to++] = digits[i] as number;
  return to;
}

/** Writes a point and `digits[begin..end)`. */
function writePoint(out: Uint8Array, to: number, begin: number, end: number): number {
  out[to++] = 0x2e;
  for (let i = begin; i < end; i++) out[to++] = digits[i] as number;
  return to;
}
