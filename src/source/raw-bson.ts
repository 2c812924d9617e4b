/**
 * Builds BSON out of values that stay the bytes that they are: what is only sent back to the server, such as keys and
 * resume tokens, is never decoded, because not every BSON value survives that (text that is not UTF-8, a field twice).
 */

import { BSON as DriverBson } from "mongodb";

import { BSON } from "../codec/bson.ts";

/** A value where it lies: its type byte, and its bytes from `begin` to before `end`. */
export interface RawValue {
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly begin: number;
  readonly end: number;
}

/** A command whose `rawFields` (run-command.ts) are BSON already. */
export interface RawCommand {
  readonly command: Readonly<Record<string, unknown>>;
  readonly rawFields?: Uint8Array;
}

/** The value of `type` that fills `bytes`. */
export function rawValue(type: number, bytes: Uint8Array): RawValue {
  return { type, bytes, begin: 0, end: bytes.length };
}

/** One element: type, name, NUL, value. The name must not hold a NUL. */
export function element(name: string, { type, bytes, begin, end }: RawValue): Uint8Array {
  const nameLength = Buffer.byteLength(name);
  const all = Buffer.allocUnsafe(nameLength + 2 + end - begin);
  all[0] = type;
  all.write(name, 1);
  all[nameLength + 1] = 0;
  copy(bytes, begin, end, all, nameLength + 2);
  return all;
}

/** A document of these elements. */
export function document(...elements: readonly Uint8Array[]): Uint8Array {
  const length = elements.reduce((sum, part) => sum + part.length, 5);
  const all = Buffer.allocUnsafe(length);
  let at = all.writeInt32LE(length, 0);
  for (const part of elements) {
    all.set(part, at);
    at += part.length;
  }
  all[at] = 0;
  return all;
}

/** An element whose value is a document of these elements. */
export function documentElement(name: string, ...elements: readonly Uint8Array[]): Uint8Array {
  return element(name, rawValue(BSON.document, document(...elements)));
}

/** An element whose value is an array of these values. Allocates once for all of them. */
export function arrayElement(name: string, values: readonly RawValue[]): Uint8Array {
  const nameLength = Buffer.byteLength(name);
  let length = 5;
  for (let i = 0; i < values.length; i++) {
    const { begin, end } = values[i] as RawValue;
    length += 2 + digitsOf(i) + end - begin;
  }
  const all = new Uint8Array(nameLength + 2 + length);
  const view = Buffer.from(all.buffer);
  all[0] = BSON.array;
  view.write(name, 1);
  let at = view.writeInt32LE(length, nameLength + 2);
  for (let i = 0; i < values.length; i++) {
    const { type, bytes, begin, end } = values[i] as RawValue;
    all[at] = type;
    at = copy(bytes, begin, end, all, writeDigits(all, i, at + 1) + 1);
  }
  return all;
}

/** The elements of a document of JavaScript values, as the driver serializes them. */
export function elementsOf(values: Readonly<Record<string, unknown>>): Uint8Array {
  return DriverBson.serialize(values).subarray(4, -1);
}

/** `{_id: {$in: [values]}, …}` as the element `filter` of a `find`, with `others` behind the `_id`. */
export function idFilterElement(values: readonly RawValue[], ...others: readonly Uint8Array[]): Uint8Array {
  return documentElement("filter", documentElement("_id", arrayElement("$in", values)), ...others);
}

/** Larger values are copied with `set`, which needs a view of its own. */
const COPIED_BY_BYTE = 40;

/** Copies bytes; returns the index behind them. */
function copy(from: Uint8Array, begin: number, end: number, to: Uint8Array, at: number): number {
  if (end - begin > COPIED_BY_BYTE) {
    to.set(from.subarray(begin, end), at);
    return at + end - begin;
  }
  let next = at;
  for (let i = begin; i < end; i++) to[next++] = from[i] as number;
  return next;
}

function digitsOf(index: number): number {
  let digits = 1;
  for (let most = 10; index >= most; most *= 10) digits += 1;
  return digits;
}

/** Writes `index` in decimal; returns the index behind it. */
function writeDigits(bytes: Uint8Array, index: number, at: number): number {
  const end = at + digitsOf(index);
  let rest = index;
  for (let i = end - 1; i >= at; i--) {
    bytes[i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return end;
}
