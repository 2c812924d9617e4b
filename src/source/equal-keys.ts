/** Which values are one key of an `_id` index, told by their bytes. */

import { BSON, bufferOf, ElementWalker, readInt32 } from "../codec/bson.ts";
import type { RawValue } from "./raw-bson.ts";

/**
 * Whether two values are one key of an `_id` index without a collation: a unique index does not hold both.
 *
 * Equal are the same bytes; numbers of equal value, whatever their types (`1`, `NumberLong(1)`, `1.0` and
 * `NumberDecimal("1.00")`; NaN equals NaN, and -0 equals 0); strings and symbols of the same bytes; documents, arrays and
 * scopes of code whose elements are equal in their order. Names of fields must be the same bytes; those of the elements of
 * an array do not matter.
 * @throws MongotapError `data` where a document in them is corrupt
 */
export function equalKeys(a: RawValue, b: RawValue): boolean {
  return keyText(a) === keyText(b);
}

/** Text of a value: two values have the same text exactly where they are equal keys. @throws as `equalKeys` */
export function keyText({ type, bytes, begin, end }: RawValue): string {
  const buffer = bufferOf(bytes);
  switch (type) {
    case BSON.int32:
      return `n${buffer.readInt32LE(begin)}`;
    case BSON.int64:
      return `n${buffer.readBigInt64LE(begin)}`;
    case BSON.double: {
      const double = buffer.readDoubleLE(begin);
      if (Number.isInteger(double)) return `n${BigInt(double)}`;
      return Number.isFinite(double) ? finiteText(exactDouble(buffer.readBigUInt64LE(begin))) : `n${double}`;
    }
    case BSON.decimal128:
      return decimalText(buffer.readBigUInt64LE(begin), buffer.readBigUInt64LE(begin + 8));
    case BSON.symbol:
      return String.fromCharCode(BSON.string) + buffer.toString("latin1", begin, end);
    case BSON.document:
    case BSON.array:
      return elementsText(type, bytes, begin, end);
    case BSON.codeWithScope: {
      // int32 length, string, document.
      const codeEnd = begin + 8 + readInt32(bytes, begin + 4);
      const code = buffer.toString("latin1", begin + 4, codeEnd);
      return String.fromCharCode(type) + withLength(code) + elementsText(BSON.document, bytes, codeEnd, end);
    }
    default:
      return String.fromCharCode(type) + buffer.toString("latin1", begin, end);
  }
}

function elementsText(type: number, bytes: Uint8Array, begin: number, end: number): string {
  const buffer = bufferOf(bytes);
  const walker = new ElementWalker();
  let text = String.fromCharCode(type);
  walker.start(bytes, begin, end);
  while (walker.next()) {
    if (type === BSON.document) text += `${buffer.toString("latin1", walker.nameBegin, walker.nameEnd)}\0`;
    text += withLength(keyText({ type: walker.type, bytes, begin: walker.valueBegin, end: walker.valueEnd }));
  }
  return text;
}

/** So that what follows cannot be taken for a part of it. */
function withLength(text: string): string {
  return `${text.length}:${text}`;
}

/** `coefficient` × 10^`exponent` */
interface Exact {
  readonly coefficient: bigint;
  readonly exponent: number;
}

/** All digits of a whole number; of another one, the digits without zeros at the end, and the exponent. */
function finiteText({ coefficient, exponent }: Exact): string {
  if (coefficient === 0n) return "n0";
  if (exponent >= 0) return `n${coefficient * 10n ** BigInt(exponent)}`;
  const digits = String(coefficient);
  let last = digits.length;
  let power = exponent;
  for (; power < 0 && digits[last - 1] === "0"; last -= 1) power += 1;
  return `n${digits.slice(0, last)}${power < 0 ? `e${power}` : ""}`;
}

/** IEEE 754 binary64, neither infinite nor whole: 1 bit of sign, 11 of exponent, 52 of fraction. */
function exactDouble(bits: bigint): Exact {
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const digits = biased === 0 ? fraction : fraction | (1n << 52n);
  const power = Math.max(biased, 1) - 1075;
  const signed = bits >> 63n === 1n ? -digits : digits;
  // The power is negative, and 2^-n is 5^n × 10^-n.
  return { coefficient: signed * 5n ** BigInt(-power), exponent: power };
}

const GREATEST_COEFFICIENT = 10n ** 34n - 1n;

/** IEEE 754 decimal128 in its binary encoding; a coefficient beyond 34 digits is none, and counts as 0. */
function decimalText(low: bigint, high: bigint): string {
  const isNegative = high >> 63n === 1n;
  const combination = (high >> 58n) & 0x1fn;
  if (combination === 0x1fn) return "nNaN";
  if (combination === 0x1en) return isNegative ? "n-Infinity" : "nInfinity";
  // The other form has a coefficient of 2^113 or more.
  if (((high >> 61n) & 3n) === 3n) return "n0";
  const digits = ((high & 0x1_ffff_ffff_ffffn) << 64n) | low;
  if (digits > GREATEST_COEFFICIENT) return "n0";
  return finiteText({ coefficient: isNegative ? -digits : digits, exponent: Number((high >> 49n) & 0x3fffn) - 6176 });
}
