/**
 * Arrays whose elements are not named "0", "1", … An index ignores their names, and returns them numbered where it answers
 * without the document; but the server compares `min` with `max` by name, and refuses a pair of which one is numbered.
 */

import { BSON, ElementWalker, readInt32 } from "../codec/bson.ts";
import { arrayElement, document, type RawValue, rawValue } from "./raw-bson.ts";

/** The BSON document with all arrays in it numbered: equal in any index. */
export function withNumberedArrays(bytes: Uint8Array): Uint8Array {
  return numbered(rawValue(BSON.document, bytes));
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

/** int32 length, string, document. */
function numberedScope({ bytes, begin, end }: RawValue): Uint8Array {
  const scopeBegin = begin + 8 + readInt32(bytes, begin + 4);
  const scope = numbered({ type: BSON.document, bytes, begin: scopeBegin, end });
  const all = Buffer.concat([bytes.subarray(begin, scopeBegin), scope]);
  all.writeInt32LE(all.length, 0);
  return all;
}

function* walk({ bytes, begin, end }: RawValue): Generator<ElementWalker> {
  const walker = new ElementWalker();
  walker.start(bytes, begin, end);
  while (walker.next()) yield walker;
}
