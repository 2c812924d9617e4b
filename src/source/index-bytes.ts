/**
 * Values that an index does not return as they are, where it answers without the document (seen on 5.0 and 6.0): an array
 * whose elements are not named "0", "1", … comes back numbered, and the namespace of a DBPointer ends at its first NUL. With
 * two such values in one `$in` the server's walk over the index never ends. An index ignores the names in arrays; but the
 * server compares `min` with `max` by name, and refuses a pair of which one is numbered.
 */

import { BSON, ElementWalker, readInt32 } from "../codec/bson.ts";
import { arrayElement, document, type RawValue, rawValue } from "./raw-bson.ts";

/**
 * The projection for `_id` as it is in the document. A field that no index has keeps the server from taking it from the
 * index; what `skip` passes over is still not read (seen in the plans of 5.0 and 6.0).
 */
export const ID_OF_DOCUMENT = { _id: 1, "mongotap: in no index": 1 };

/** The BSON document with all arrays in it numbered: equal in any index. */
export function withNumberedArrays(bytes: Uint8Array): Uint8Array {
  return numbered(rawValue(BSON.document, bytes));
}

/** Whether an index returns the value as it is. */
export function isSameInIndex(value: RawValue): boolean {
  const { type, bytes, begin, end } = value;
  // int32 length, namespace, NUL, 12 bytes of ObjectId.
  if (type === BSON.dbPointer) return bytes.indexOf(0, begin + 4) === end - 13;
  if (type === BSON.codeWithScope) return isSameInIndex(scopeOf(value));
  if (type !== BSON.document && type !== BSON.array) return true;
  let index = 0;
  for (const { type: inner, nameBegin, nameEnd, valueBegin, valueEnd } of walk({ type, bytes, begin, end })) {
    if (type === BSON.array && !isDecimal(bytes, nameBegin, nameEnd, index)) return false;
    if (!isSameInIndex({ type: inner, bytes, begin: valueBegin, end: valueEnd })) return false;
    index += 1;
  }
  return true;
}

function isDecimal(bytes: Uint8Array, begin: number, end: number, index: number): boolean {
  const digits = String(index);
  if (end - begin !== digits.length) return false;
  for (let i = 0; i < digits.length; i++) if (bytes[begin + i] !== digits.charCodeAt(i)) return false;
  return true;
}

function numbered(value: RawValue): Uint8Array {
  const { type, bytes, begin, end } = value;
  if (type === BSON.document) return document(...elementsOf(value));
  if (type === BSON.array) return arrayElement("", valuesOf(value)).subarray(2); // without its type and empty name
  if (type === BSON.codeWithScope) return numberedScope(value);
  return bytes.subarray(begin, end);
}

function elementsOf(value: RawValue): Uint8Array[] {
  const { bytes } = value;
  const elements: Uint8Array[] = [];
  for (const { type, nameBegin, valueBegin, valueEnd } of walk(value)) {
    const head = bytes.subarray(nameBegin - 1, valueBegin); // type, name, NUL
    elements.push(head, numbered({ type, bytes, begin: valueBegin, end: valueEnd }));
  }
  return elements;
}

function valuesOf(value: RawValue): RawValue[] {
  const { bytes } = value;
  return Array.from(walk(value), ({ type, valueBegin, valueEnd }) =>
    rawValue(type, numbered({ type, bytes, begin: valueBegin, end: valueEnd })),
  );
}

/** The document in code with scope: int32 length, string, document. */
function scopeOf({ bytes, begin, end }: RawValue): RawValue {
  return { type: BSON.document, bytes, begin: begin + 8 + readInt32(bytes, begin + 4), end };
}

function numberedScope(value: RawValue): Uint8Array {
  const scope = scopeOf(value);
  const all = Buffer.concat([value.bytes.subarray(value.begin, scope.begin), numbered(scope)]);
  all.writeInt32LE(all.length, 0);
  return all;
}

function* walk({ bytes, begin, end }: RawValue): Generator<ElementWalker> {
  const walker = new ElementWalker();
  walker.start(bytes, begin, end);
  while (walker.next()) yield walker;
}
