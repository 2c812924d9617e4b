/**
 * The layout of BSON: type bytes, lengths, and a walk over elements that allocates nothing.
 * https://bsonspec.org/spec.html
 */

import { MongotapError } from "../errors.ts";

export const BSON = {
  double: 0x01,
  string: 0x02,
  document: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  codeWithScope: 0x0f,
  int32: 0x10,
  timestamp: 0x11,
  int64: 0x12,
  decimal128: 0x13,
  minKey: 0xff,
  maxKey: 0x7f,
} as const;

/** A document: its place in `bytes`. */
export interface DocumentAt {
  readonly bytes: Uint8Array;
  readonly begin: number;
}

/** The name of a type byte for messages: its key in BSON, or `type 0x…`. */
export function nameOfType(type: number): string {
  for (const [name, code] of Object.entries(BSON)) if (code === type) return name;
  return `type 0x${type.toString(16).padStart(2, "0")}`;
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) >>> 0;
}

/** The error for a corrupt byte at `offset` of the document (of the buffer, where the document is unknown). */
export function corrupt(reason: string, offset: number): MongotapError {
  return new MongotapError("data", `corrupt BSON at byte ${offset}: ${reason}`);
}

/** Byte length of the types of fixed length; -1 for the others and for unknown types. */
function fixedLength(type: number): number {
  switch (type) {
    case BSON.double:
    case BSON.date:
    case BSON.timestamp:
    case BSON.int64:
      return 8;
    case BSON.int32:
      return 4;
    case BSON.boolean:
      return 1;
    case BSON.objectId:
      return 12;
    case BSON.decimal128:
      return 16;
    case BSON.null:
    case BSON.undefined:
    case BSON.minKey:
    case BSON.maxKey:
      return 0;
    default:
      return -1;
  }
}

/** The bytes as a Buffer over the same memory; replies of the driver are Buffers already. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether `error` is about corrupt BSON. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof MongotapError && error.kind === "data";
}

/**
 * Byte length of the value of `type` at `at`. `origin` is the begin of its document: offsets in messages count from there.
 * Throws MongotapError("data") if the value does not end by `limit`, or on an unknown type, an impossible length or a
 * missing NUL. Does not check what is inside an embedded document.
 */
export function valueLength(bytes: Uint8Array, type: number, at: number, limit: number, origin = 0): number {
  const length = fixedLength(type);
  const end = length >= 0 ? at + length : variableEnd(bytes, type, at, Math.min(limit, bytes.length), origin);
  if (end > limit || end > bytes.length) throw corrupt(`${nameOfType(type)} does not fit its document`, at - origin);
  return end - at;
}

function variableEnd(bytes: Uint8Array, type: number, at: number, limit: number, origin: number): number {
  switch (type) {
    case BSON.string:
    case BSON.code:
    case BSON.symbol:
      return stringEnd(bytes, at, limit, origin);
    case BSON.document:
    case BSON.array:
      return documentEnd(bytes, at, limit, origin);
    case BSON.binary:
      return binaryEnd(bytes, at, limit, origin);
    case BSON.regex:
      return nameEnd(bytes, nameEnd(bytes, at, limit, origin) + 1, limit, origin) + 1;
    case BSON.dbPointer:
      return stringEnd(bytes, at, limit, origin) + 12;
    case BSON.codeWithScope:
      return codeWithScopeEnd(bytes, at, limit, origin);
    default:
      throw corrupt(`unknown type 0x${type.toString(16).padStart(2, "0")}`, at - origin);
  }
}

/** Index of the NUL that ends the cstring at `at`; throws MongotapError("data") if there is none before `limit`. */
export function nameEnd(bytes: Uint8Array, at: number, limit: number, origin = 0): number {
  for (let i = at; i < limit; i++) if (bytes[i] === 0) return i;
  throw corrupt("text without an end", at - origin);
}

/** Index behind the string at `at` (an int32 length, the text, a NUL). */
function stringEnd(bytes: Uint8Array, at: number, limit: number, origin = 0): number {
  if (at + 5 > limit) throw corrupt("string does not fit its document", at - origin);
  const length = readInt32(bytes, at);
  const end = at + 4 + length;
  if (length < 1 || end > limit) throw corrupt(`string of ${length} bytes does not fit its document`, at - origin);
  if (bytes[end - 1] !== 0) throw corrupt("string without its final NUL", end - 1 - origin);
  return end;
}

/**
 * Index behind the document or array at `at`. Throws MongotapError("data") if its length is impossible, if it does not end
 * by `limit`, or if its last byte is not NUL.
 */
export function documentEnd(bytes: Uint8Array, at: number, limit: number, origin = 0): number {
  if (at + 5 > limit) throw corrupt("document is cut short", at - origin);
  const length = readInt32(bytes, at);
  const end = at + length;
  if (length < 5 || end > limit) throw corrupt(`document of ${length} bytes, ${limit - at} are there`, at - origin);
  if (bytes[end - 1] !== 0) throw corrupt("document without its final NUL", end - 1 - origin);
  return end;
}

function binaryEnd(bytes: Uint8Array, at: number, limit: number, origin: number): number {
  if (at + 5 > limit) throw corrupt("binary does not fit its document", at - origin);
  const length = readInt32(bytes, at);
  if (length < 0 || at + 5 + length > limit) {
    throw corrupt(`binary of ${length} bytes does not fit its document`, at - origin);
  }
  if (bytes[at + 4] === 2 && (length < 4 || readInt32(bytes, at + 5) !== length - 4)) {
    throw corrupt("binary of subtype 2 with a wrong inner length", at + 5 - origin);
  }
  return at + 5 + length;
}

function codeWithScopeEnd(bytes: Uint8Array, at: number, limit: number, origin: number): number {
  if (at + 14 > limit) throw corrupt("code with scope does not fit its document", at - origin);
  const length = readInt32(bytes, at);
  const end = at + length;
  if (length < 14 || end > limit) {
    throw corrupt(`code with scope of ${length} bytes does not fit its document`, at - origin);
  }
  const scope = stringEnd(bytes, at + 4, end, origin);
  if (documentEnd(bytes, scope, end, origin) !== end) throw corrupt("code with scope of a wrong length", at - origin);
  return end;
}

/** Walks the elements of one document. Its fields describe the current element, and `start` makes it reusable. */
export class ElementWalker {
  type = 0;
  nameBegin = 0;
  /** Index of the NUL. */
  nameEnd = 0;
  valueBegin = 0;
  valueEnd = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #origin = 0;
  #end = 0;
  #next = 0;

  /** Begins the document at `at`. Throws as documentEnd does. */
  start(bytes: Uint8Array, at: number, limit = bytes.length): void {
    this.#bytes = bytes;
    this.#origin = at;
    this.#end = documentEnd(bytes, at, Math.min(limit, bytes.length), at) - 1;
    this.#next = at + 4;
  }

  /** Moves to the next element; returns false at the end. Throws MongotapError("data") on a corrupt element. */
  next(): boolean {
    const bytes = this.#bytes;
    const at = this.#next;
    if (at >= this.#end) return false;
    this.type = bytes[at] as number;
    this.nameBegin = at + 1;
    this.nameEnd = nameEnd(bytes, at + 1, this.#end, this.#origin);
    this.valueBegin = this.nameEnd + 1;
    this.valueEnd = this.valueBegin + valueLength(bytes, this.type, this.valueBegin, this.#end, this.#origin);
    this.#next = this.valueEnd;
    return true;
  }

  /** Whether the name of the element is `name`, in UTF-8. */
  nameIs(name: Uint8Array): boolean {
    const begin = this.nameBegin;
    if (this.nameEnd - begin !== name.length) return false;
    for (let i = 0; i < name.length; i++) if (this.#bytes[begin + i] !== name[i]) return false;
    return true;
  }
}

const elements = new ElementWalker();

/**
 * Whether the elements of the array at `at` have different types, null aside. int32, int64 and double are three types,
 * because a column of a table has one of them. Throws MongotapError("data") if the array is corrupt.
 */
export function hasMixedTypes(bytes: Uint8Array, at: number): boolean {
  let first: number = BSON.null;
  elements.start(bytes, at);
  while (elements.next()) {
    if (elements.type === BSON.null || elements.type === first) continue;
    if (first !== BSON.null) return true;
    first = elements.type;
  }
  return false;
}

/** The distinct types of the elements of the array at `at`, in order of appearance. Throws as hasMixedTypes does. */
export function elementTypes(bytes: Uint8Array, at: number): number[] {
  const types = new Set<number>();
  elements.start(bytes, at);
  while (elements.next()) types.add(elements.type);
  return [...types];
}
