/** `_id` values and resume tokens as text for the state, and from there as the same bytes: neither is ever decoded. */

import { BSON, ElementWalker, readInt32 } from "../codec/bson.ts";
import { MongotapError } from "../errors.ts";
import { equalKeys } from "./equal-keys.ts";
import { type RawValue, rawValue } from "./raw-bson.ts";

const ID = new TextEncoder().encode("_id");

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
 * The bytes of a document that `keyOf` or `toText` has encoded, to be sent back as they are.
 * @throws MongotapError `state` when the text is no BSON document
 */
export function fromText(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length < 5 || readInt32(bytes, 0) !== bytes.length || bytes.at(-1) !== 0) {
    throw new MongotapError("state", "a saved key or resume token is damaged");
  }
  return bytes;
}

/** Whether two keys of `keyOf` are equal in the `_id` index; see `equalKeys`. */
export function sameKey(a: string, b: string): boolean {
  return a === b || equalKeys(documentValue(fromText(a)), documentValue(fromText(b)));
}

function documentValue(bytes: Uint8Array): RawValue {
  return rawValue(BSON.document, bytes);
}
