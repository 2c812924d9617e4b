/**
 * Numbers as ASCII text: integers, doubles and decimal128. Each `write…` function writes at `to` and returns the index
 * behind its last byte; the caller has reserved the bytes that its comment names.
 */

import { readInt32, readUint32 } from "./bson.ts";

/** Writes an int32: at most 11 bytes. */
function writeInt32(out: Uint8Array, to: number, value: number): number {
  if (value >= 0) return writeUint(out, to, value);
  out[to] = 0x2d;
  return writeUint(out, to + 1, -value);
}

/** Writes an integer of 0 … 2^53: at most 16 bytes. */
export function writeUint(out: Uint8Array, to: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  return writeFixed(out, to, value, digits);
}

/** Writes the integer `value` in exactly `digits` digits, with leading zeros. */
export function writeFixed(out: Uint8Array, to: number, value: number, digits: number): number {
  let rest = value;
  for (let at = to + digits - 1; at >= to; at--) {
    const next = Math.floor(rest / 10);
    out[at] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return to + digits;
}

/** Writes the int64 whose halves are the int32 `low` and `high`: at most 20 bytes. */
export function writeInt64(out: Uint8Array, to: number, low: number, high: number): number {
  if (high < 0) {
    out[to] = 0x2d;
    // Negate the pair in two's complement. The smallest int64 becomes 2^63, which is correct as unsigned.
    return writeUint64(out, to + 1, -low | 0, low === 0 ? -high | 0 : ~high);
  }
  return writeUint64(out, to, low, high);
}

/** Writes the uint64 whose halves are `low` and `high`: at most 20 bytes. */
function writeUint64(out: Uint8Array, to: number, low: number, high: number): number {
  const upper = high >>> 0;
  if (upper < 0x200000) return writeUint(out, to, upper * 0x100000000 + (low >>> 0));
  // value = front * 1e9 + back: long division of four 16-bit limbs, exact in doubles.
  let front = 0;
  let back = 0;
  for (const limb of [upper >>> 16, upper & 0xffff, (low >>> 16) & 0xffff, low & 0xffff]) {
    const value = back * 0x10000 + limb;
    const quotient = Math.floor(value / 1e9);
    front = front * 0x10000 + quotient;
    back = value - quotient * 1e9;
  }
  return writeFixed(out, writeUint(out, to, front), back, 9);
}

/** The most bytes that writeDouble writes: sign, 17 digits, point, `E-308`. */
export const MAX_DOUBLE_BYTES = 25;

/** Reads the little-endian double at `at`. */
export function readDouble(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) doubleView.setUint8(i, bytes[at + i] as number);
  return doubleView.getFloat64(0, true);
}

const doubleView = new DataView(new ArrayBuffer(8));

/**
 * Writes a finite double as the shortest decimal that reads back as the same double, always with `.` or `E`, so that it
 * cannot be taken for an integer: `1.0`, `-0.0`, `1.2345678921232E+18`. The form is that of mongoexport (Go's format
 * 'G'): an exponent of at least two digits below 0.0001 and from 1E+06 on.
 * https://github.com/mongodb/specifications/blob/master/source/bson-corpus/tests/double.json
 */
export function writeDouble(out: Uint8Array, to: number, value: number): number {
  return writeAscii(out, to, doubleText(value));
}

function writeAscii(out: Uint8Array, to: number, text: string): number {
  for (let i = 0; i < text.length; i++) out[to++] = text.charCodeAt(i);
  return to;
}

function doubleText(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-4 && magnitude < 1e6) {
    const plain = String(value);
    return plain.includes(".") ? plain : `${plain}.0`;
  }
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", exponent = ""] = value.toExponential().split("e");
  const power = Number(exponent);
  return `${mantissa}E${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

const EXPONENT_BIAS = 6176;
const MAX_SIGNIFICAND = 10n ** 34n - 1n;

/** The most bytes that writeDecimal128 writes: sign, 34 digits, point, `E-6176`. */
export const MAX_DECIMAL128_BYTES = 48;

/** Digits of the significand that is being written. */
const digits = new Uint8Array(40);

/**
 * Writes the decimal128 at `at`, exactly: `12.50`, `1E+3`, `NaN`, `-Infinity`. The bytes are IEEE 754-2008 decimal128 with a
 * binary integer significand.
 * https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md#to-string-representation
 */
export function writeDecimal128(out: Uint8Array, to: number, bytes: Uint8Array, at: number): number {
  const top = readUint32(bytes, at + 12);
  // After the sign, 11111 is NaN (its sign and payload are not printed) and 11110 is infinity.
  if ((top & 0x7c000000) === 0x7c000000) return writeAscii(out, to, "NaN");
  if (top >= 0x80000000) out[to++] = 0x2d;
  if ((top & 0x7c000000) === 0x78000000) return writeAscii(out, to, "Infinity");
  // After the sign, 11 moves the exponent two bits down. The significand is then above 10^34 - 1, which is not canonical
  // and means zero.
  const large = (top & 0x60000000) === 0x60000000;
  const exponent = ((large ? top >>> 15 : top >>> 17) & 0x3fff) - EXPONENT_BIAS;
  const count = large ? writeZero() : writeSignificand(bytes, at, top & 0x1ffff);
  return writeScaled(out, to, count, exponent);
}

function writeZero(): number {
  digits[0] = 0x30;
  return 1;
}

/** Writes the 113-bit significand to `digits` and returns the number of digits. */
function writeSignificand(bytes: Uint8Array, at: number, top: number): number {
  const third = readInt32(bytes, at + 8);
  if (top === 0 && third === 0) return writeUint64(digits, 0, readInt32(bytes, at), readInt32(bytes, at + 4));
  const high = (BigInt(top) << 32n) | BigInt(third >>> 0);
  const low = (BigInt(readUint32(bytes, at + 4)) << 32n) | BigInt(readUint32(bytes, at));
  const significand = (high << 64n) | low;
  return significand > MAX_SIGNIFICAND ? writeZero() : writeAscii(digits, 0, significand.toString());
}

/** Writes the first `count` of `digits`, times 10^exponent. */
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
