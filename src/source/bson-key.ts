/**
 * `_id` values and resume tokens as text for the state, and from there as values that the driver serialises to the same
 * bytes. Documents become Maps, because a JavaScript object would move keys such as "10" to the front.
 */

import { BSON as DriverBson } from "mongodb";

import { BSON, ElementWalker, readInt32 } from "../codec/bson.ts";
import { MongotapError } from "../errors.ts";

const ID = new TextEncoder().encode("_id");
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Keeps every BSON type: no Long to number, no regex to RegExp, no Binary to Buffer. */
const EXACT = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true } as const;

/** The key of a document whose `_id` is MaxKey: `{_id: MaxKey}`, 10 bytes. */
export const MAX_KEY = Buffer.from([10, 0, 0, 0, BSON.maxKey, 0x5f, 0x69, 0x64, 0, 0]).toString("base64");

/** The bytes of the `_id` element of the document at `at`, from its type byte to its end; undefined without one. */
export function findId(bytes: Uint8Array, at: number): { begin: number; end: number } | undefined {
  const walker = new ElementWalker();
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.nameIs(ID)) return { begin: walker.nameBegin - 1, end: walker.valueEnd };
  }
  return undefined;
}

/**
 * The `_id` of the document at `at`, as base64 of a document with that one field.
 * @throws MongotapError `data` for a document without `_id`
 */
export function keyOf(bytes: Uint8Array, at: number): string {
  const id = findId(bytes, at);
  if (!id) throw new MongotapError("data", "a document without _id cannot be a place to resume from");
  const length = id.end - id.begin;
  const key = Buffer.alloc(length + 5);
  key.writeInt32LE(length + 5, 0);
  key.set(bytes.subarray(id.begin, id.end), 4);
  return key.toString("base64");
}

/** Any BSON document as base64. */
export function toText(document: Uint8Array): string {
  return Buffer.from(document.buffer, document.byteOffset, document.byteLength).toString("base64");
}

/**
 * A document that `keyOf` or `toText` has encoded, as a value for a command.
 * @throws MongotapError `state` when the text is no BSON document, `data` when the driver would not send the same bytes
 */
export function toValue(text: string): Map<string, unknown> {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length < 5 || readInt32(bytes, 0) !== bytes.length) {
    throw new MongotapError("state", "a saved key or resume token is damaged");
  }
  const value = documentValue(bytes, 0);
  if (!bytes.equals(DriverBson.serialize(value))) {
    throw new MongotapError(
      "data",
      "an _id cannot be sent back to the server exactly as it came (duplicate field names inside it?)",
    );
  }
  return value;
}

function documentValue(bytes: Uint8Array, at: number): Map<string, unknown> {
  const value = new Map<string, unknown>();
  const walker = new ElementWalker();
  walker.start(bytes, at);
  while (walker.next()) {
    value.set(decoder.decode(bytes.subarray(walker.nameBegin, walker.nameEnd)), elementValue(bytes, walker));
  }
  return value;
}

function elementValue(bytes: Uint8Array, { type, valueBegin, valueEnd }: ElementWalker): unknown {
  if (type === BSON.document) return documentValue(bytes, valueBegin);
  if (type === BSON.array) return [...documentValue(bytes, valueBegin).values()];
  const length = valueEnd - valueBegin;
  const single = Buffer.alloc(length + 8); // int32 length, type, "v\0", value, 0
  single.writeInt32LE(length + 8, 0);
  single[4] = type;
  single[5] = 0x76;
  single.set(bytes.subarray(valueBegin, valueEnd), 7);
  return DriverBson.deserialize(single, EXACT)["v"];
}

/** Whether two keys of `keyOf` are equal in the `_id` index: the same bytes, or the same number in another type. */
export function sameKey(a: string, b: string): boolean {
  if (a === b) return true;
  const left = numberOf(a);
  return left !== undefined && left === numberOf(b);
}

/** int32, int64 and integral doubles by value (`1`, `NumberLong(1)` and `1.0` are one key of the _id index). */
function numberOf(key: string): bigint | undefined {
  const bytes = Buffer.from(key, "base64");
  const at = 4 + 1 + ID.length + 1;
  if (bytes[4] === BSON.int32) return BigInt(bytes.readInt32LE(at));
  if (bytes[4] === BSON.int64) return bytes.readBigInt64LE(at);
  if (bytes[4] !== BSON.double) return undefined;
  const double = bytes.readDoubleLE(at);
  return Number.isInteger(double) ? BigInt(double) : undefined;
}
