/** Which values are one key of an `_id` index, told by their bytes. */

import { BSON, ElementWalker, readInt32, readUint32 } from "../codec/bson.ts";
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
  if (a.type === b.type && haveSameBytes(a, b)) return true;
  if (isNumber(a.type)) return isNumber(b.type) && equalNumbers(a, b);
  if (isText(a.type)) return isText(b.type) && haveSameBytes(a, b);
  if (a.type !== b.type) return false;
  if (a.type === BSON.document) return equalElements(a, b, true);
  if (a.type === BSON.array) return equalElements(a, b, false);
  return a.type === BSON.codeWithScope && equalCode(a, b);
}

function haveSameBytes(a: RawValue, b: RawValue): boolean {
  const length = a.end - a.begin;
  if (length !== b.end - b.begin) return false;
  for (let i = 0; i < length; i++) if (a.bytes[a.begin + i] !== b.bytes[b.begin + i]) return false;
  return true;
}

function isText(type: number): boolean {
  return type === BSON.string || type === BSON.symbol;
}

function equalElements(a: RawValue, b: RawValue, named: boolean): boolean {
  const [left, right] = [new ElementWalker(), new ElementWalker()];
  left.start(a.bytes, a.begin, a.end);
  right.start(b.bytes, b.begin, b.end);
  while (left.next()) {
    if (!right.next()) return false;
    if (named && !haveSameBytes(nameOf(a.bytes, left), nameOf(b.bytes, right))) return false;
    if (!equalKeys(valueOf(a.bytes, left), valueOf(b.bytes, right))) return false;
  }
  return !right.next();
}

function nameOf(bytes: Uint8Array, { nameBegin, nameEnd }: ElementWalker): RawValue {
  return { type: BSON.string, bytes, begin: nameBegin, end: nameEnd };
}

function valueOf(bytes: Uint8Array, { type, valueBegin, valueEnd }: ElementWalker): RawValue {
  return { type, bytes, begin: valueBegin, end: valueEnd };
}

function equalCode(a: RawValue, b: RawValue): boolean {
  const [left, right] = [partsOfCode(a), partsOfCode(b)];
  return haveSameBytes(left.code, right.code) && equalKeys(left.scope, right.scope);
}

/** Code with scope: int32 length, string, document. */
function partsOfCode({ bytes, begin, end }: RawValue): { readonly code: RawValue; readonly scope: RawValue } {
  const codeEnd = begin + 8 + readInt32(bytes, begin + 4);
  return {
    code: { type: BSON.string, bytes, begin: begin + 4, end: codeEnd },
    scope: { type: BSON.document, bytes, begin: codeEnd, end },
  };
}

function isNumber(type: number): boolean {
  return type === BSON.int32 || type === BSON.int64 || type === BSON.double || type === BSON.decimal128;
}

/** `coefficient` × 10^`exponent`, or no number that could be written so. */
type Exact = { readonly coefficient: bigint; readonly exponent: number } | "NaN" | "Infinity" | "-Infinity";

function equalNumbers(a: RawValue, b: RawValue): boolean {
  const [left, right] = [exactOf(a), exactOf(b)];
  if (typeof left === "string" || typeof right === "string") return left === right;
  const shift = left.exponent - right.exponent;
  if (left.coefficient === 0n || right.coefficient === 0n) return left.coefficient === right.coefficient;
  return shift < 0
    ? left.coefficient === right.coefficient * 10n ** BigInt(-shift)
    : left.coefficient * 10n ** BigInt(shift) === right.coefficient;
}

function exactOf({ type, bytes, begin: at }: RawValue): Exact {
  switch (type) {
    case BSON.int32:
      return { coefficient: BigInt(readInt32(bytes, at)), exponent: 0 };
    case BSON.int64:
      return { coefficient: BigInt.asIntN(64, readUint64(bytes, at)), exponent: 0 };
    case BSON.double:
      return exactDouble(readUint64(bytes, at));
    default:
      return exactDecimal(readUint64(bytes, at), readUint64(bytes, at + 8));
  }
}

function readUint64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(readUint32(bytes, at + 4)) << 32n) | BigInt(readUint32(bytes, at));
}

/** IEEE 754 binary64: 1 bit of sign, 11 of exponent, 52 of fraction. */
function exactDouble(bits: bigint): Exact {
  const isNegative = bits >> 63n === 1n;
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  if (biased === 0x7ff) return fraction === 0n ? infinity(isNegative) : "NaN";
  const digits = biased === 0 ? fraction : fraction | (1n << 52n);
  const power = Math.max(biased, 1) - 1075;
  const signed = isNegative ? -digits : digits;
  // 2^-n is 5^n × 10^-n.
  return power < 0
    ? { coefficient: signed * 5n ** BigInt(-power), exponent: power }
    : { coefficient: signed << BigInt(power), exponent: 0 };
}

const GREATEST_COEFFICIENT = 10n ** 34n - 1n;

/** IEEE 754 decimal128 in its binary encoding; a coefficient beyond 34 digits is none, and counts as 0. */
function exactDecimal(low: bigint, high: bigint): Exact {
  const isNegative = high >> 63n === 1n;
  const combination = (high >> 58n) & 0x1fn;
  if (combination === 0x1fn) return "NaN";
  if (combination === 0x1en) return infinity(isNegative);
  // The other form has a coefficient of 2^113 or more.
  if (((high >> 61n) & 3n) === 3n) return { coefficient: 0n, exponent: 0 };
  const digits = ((high & 0x1_ffff_ffff_ffffn) << 64n) | low;
  if (digits > GREATEST_COEFFICIENT) return { coefficient: 0n, exponent: 0 };
  return { coefficient: isNegative ? -digits : digits, exponent: Number((high >> 49n) & 0x3fffn) - 6176 };
}

function infinity(isNegative: boolean): Exact {
  return isNegative ? "-Infinity" : "Infinity";
}
