/**
 * Applies the update descriptions of change events to the document before them, on BSON bytes.
 *
 * A description names paths as text, so it cannot tell a field `a.b` from a field `b` in `a`, and it does not say where a
 * field was moved to. The result is a candidate: the caller compares the last of a series with the document that the server
 * has (docs/decisions/013-documents-as-of-their-event.md). A series is given up as well where its last document would not
 * show that one before it is wrong.
 * https://www.mongodb.com/docs/manual/reference/change-events/update/
 */

import { BSON, bufferOf, type DocumentAt, ElementWalker, isCorrupt, readInt32 } from "./bson.ts";

const encoder = new TextEncoder();
const UPDATED_FIELDS = encoder.encode("updatedFields");
const REMOVED_FIELDS = encoder.encode("removedFields");
const TRUNCATED_ARRAYS = encoder.encode("truncatedArrays");
const FIELD = encoder.encode("field");
const NEW_SIZE = encoder.encode("newSize");

/** What happens to one field, or to fields within it. */
interface Change {
  /** The new value, in the bytes of the description. */
  value?: { readonly type: number; readonly begin: number; readonly end: number };
  isRemoved?: boolean;
  /** The new number of elements of an array. */
  newSize?: number;
  /** By field name, or by index as text. */
  within?: Map<string, Change>;
}

/** The updates of one document, in their order. */
export class UpdateSeries {
  /** The number of names in the longest path that was set, by each beginning of it. Only of paths with several names. */
  readonly #depths = new Map<string, number>();

  /**
   * Returns the document after the next update; undefined where the description is ambiguous, does not fit the document, or
   * one of them is corrupt. `description`: the document `updateDescription` of the event.
   */
  apply(before: DocumentAt, description: DocumentAt): Uint8Array | undefined {
    try {
      const changes = this.#changesOf(description);
      if (changes === undefined) return undefined;
      const length = readInt32(before.bytes, before.begin) + readInt32(description.bytes, description.begin);
      const output = new Output(length);
      return rewrite(output, before, { within: changes }, description.bytes, false) ? output.take() : undefined;
    } catch (error) {
      if (isCorrupt(error)) return undefined;
      throw error;
    }
  }

  #changesOf({ bytes, begin }: DocumentAt): Map<string, Change> | undefined {
    const changes = new Map<string, Change>();
    const paths: string[] = [];
    const walker = new ElementWalker();
    let isClear = true;
    walker.start(bytes, begin);
    while (walker.next()) {
      if (walker.nameIs(REMOVED_FIELDS)) isClear &&= this.#noteRemoved(changes, bytes, walker.valueBegin);
      else if (walker.nameIs(UPDATED_FIELDS))
        isClear &&= this.#noteUpdated(changes, paths, { bytes, begin: walker.valueBegin });
      else if (walker.nameIs(TRUNCATED_ARRAYS)) isClear &&= this.#noteTruncated(changes, bytes, walker.valueBegin);
    }
    for (const path of paths) this.#noteSet(path);
    return isClear ? changes : undefined;
  }

  #noteUpdated(changes: Map<string, Change>, paths: string[], { bytes, begin }: DocumentAt): boolean {
    const walker = new ElementWalker();
    walker.start(bytes, begin);
    while (walker.next()) {
      const path = textOf(bytes, walker.nameBegin, walker.nameEnd);
      const change = changeAt(changes, path);
      if (change === undefined || isNoted(change) || this.#mayRemove(path, 2)) return false;
      change.value = { type: walker.type, begin: walker.valueBegin, end: walker.valueEnd };
      paths.push(path);
    }
    return true;
  }

  #noteRemoved(changes: Map<string, Change>, bytes: Uint8Array, at: number): boolean {
    const walker = new ElementWalker();
    walker.start(bytes, at);
    while (walker.next()) {
      if (walker.type !== BSON.string) return false;
      const path = textOf(bytes, walker.valueBegin + 4, walker.valueEnd - 1);
      const change = changeAt(changes, path);
      if (change === undefined || isNoted(change) || this.#mayRemove(path, path.includes(".") ? 0 : 2)) return false;
      change.isRemoved = true;
    }
    return true;
  }

  #noteTruncated(changes: Map<string, Change>, bytes: Uint8Array, at: number): boolean {
    const walker = new ElementWalker();
    const inner = new ElementWalker();
    walker.start(bytes, at);
    while (walker.next()) {
      if (walker.type !== BSON.document) return false;
      let path: string | undefined;
      let newSize = -1;
      inner.start(bytes, walker.valueBegin);
      while (inner.next()) {
        if (inner.type === BSON.string && inner.nameIs(FIELD))
          path = textOf(bytes, inner.valueBegin + 4, inner.valueEnd - 1);
        else if (inner.type === BSON.int32 && inner.nameIs(NEW_SIZE)) newSize = readInt32(bytes, inner.valueBegin);
      }
      if (path === undefined || newSize < 0 || this.#mayRemove(path, 3)) return false;
      const change = changeAt(changes, path);
      if (change === undefined || change.value !== undefined || change.isRemoved === true) return false;
      change.newSize = newSize;
    }
    return true;
  }

  #noteSet(path: string): void {
    const names = path.split(".").length;
    if (names === 1) return;
    for (let end = path.indexOf("."); end > 0; end = path.indexOf(".", end + 1))
      this.#deepen(path.slice(0, end), names);
    this.#deepen(path, names);
  }

  #deepen(beginning: string, names: number): void {
    if ((this.#depths.get(beginning) ?? 0) < names) this.#depths.set(beginning, names);
  }

  /**
   * Whether a change of `path` may remove a field with a dot in its name that an update before has set: the last document
   * would not show it. `more`: how many names more such a path must have at least.
   */
  #mayRemove(path: string, more: number): boolean {
    if (this.#depths.size === 0) return false;
    const depth = this.#depths.get(path);
    return depth !== undefined && depth >= path.split(".").length + more;
  }
}

/** Whether the description says something else about the field, or about one within it. */
function isNoted({ value, isRemoved, newSize, within }: Change): boolean {
  return value !== undefined || isRemoved === true || newSize !== undefined || within !== undefined;
}

/** Undefined where the path runs through a value that is set as a whole, or has an empty name. */
function changeAt(changes: Map<string, Change>, path: string): Change | undefined {
  let level = changes;
  let change: Change | undefined;
  for (const name of path.split(".")) {
    if (name === "" || change?.value !== undefined || change?.isRemoved === true) return undefined;
    if (change !== undefined) level = change.within ??= new Map();
    change = level.get(name);
    if (change === undefined) level.set(name, (change = {}));
  }
  return change;
}

/** Latin-1 keeps all bytes apart, which is all that comparing names needs; a dot is the same byte in UTF-8. */
function textOf(bytes: Uint8Array, begin: number, end: number): string {
  return bufferOf(bytes).toString("latin1", begin, end);
}

/** Appends the changed document or array. Returns false where a change does not fit. */
function rewrite(
  output: Output,
  { bytes, begin }: DocumentAt,
  { within, newSize = Infinity }: Change,
  values: Uint8Array,
  isArray: boolean,
): boolean {
  const source = bufferOf(bytes);
  const left = new Map(within);
  const start = output.open();
  const walker = new ElementWalker();
  let copied = begin + 4;
  let index = 0;
  walker.start(bytes, begin);
  while (walker.next()) {
    const elementBegin = walker.nameBegin - 1;
    if (isArray && index >= newSize) {
      output.copy(source, copied, elementBegin);
      copied = begin + readInt32(bytes, begin) - 1;
      break;
    }
    index += 1;
    const name = isArray ? String(index - 1) : source.toString("latin1", walker.nameBegin, walker.nameEnd);
    if (name.includes(".")) return false;
    const change = left.get(name);
    if (change === undefined) continue;
    left.delete(name);
    output.copy(source, copied, elementBegin);
    copied = walker.valueEnd;
    if (change.isRemoved === true && isArray) return false;
    if (change.isRemoved === true) continue;
    if (change.value !== undefined) {
      if (!isArray && isUnchanged(source, walker, values, change.value)) return false; // the field was moved
      output.element(change.value.type, name, values, change.value);
      continue;
    }
    if (walker.type !== BSON.document && walker.type !== BSON.array) return false;
    output.head(walker.type, name);
    if (!rewrite(output, { bytes, begin: walker.valueBegin }, change, values, walker.type === BSON.array)) return false;
  }
  output.copy(source, copied, begin + readInt32(bytes, begin) - 1);
  for (const [name, { value, isRemoved }] of left) {
    if (isRemoved === true || value === undefined) return false;
    if (isArray) index = fillWithNull(output, index, name);
    if (isArray && index < 0) return false;
    output.element(value.type, name, values, value);
    index += 1;
  }
  output.close(start);
  return true;
}

function isUnchanged(
  source: Buffer,
  { type, valueBegin, valueEnd }: ElementWalker,
  values: Uint8Array,
  value: NonNullable<Change["value"]>,
): boolean {
  if (type !== value.type || valueEnd - valueBegin !== value.end - value.begin) return false;
  // Not compare() with bounds: Deno 2.9 takes the length of the source for that of the target.
  return Buffer.compare(source.subarray(valueBegin, valueEnd), values.subarray(value.begin, value.end)) === 0;
}

/** Appends `null` to an array up to before the index `name`. Returns that index, or -1 where `name` is none behind `index`. */
function fillWithNull(output: Output, index: number, name: string): number {
  const target = Number(name);
  if (String(target) !== name || target < index || target > MAX_ARRAY) return -1;
  for (let i = index; i < target; i += 1) output.head(BSON.null, String(i));
  return target;
}

/** The server fills gaps of no more than this. */
const MAX_ARRAY = 1_500_000;

/** A BSON document in the making. */
class Output {
  #bytes: Buffer;
  #length = 0;

  constructor(expected: number) {
    this.#bytes = Buffer.allocUnsafe(expected + 64);
  }

  /** Begins a document. Its length is known at `close`. */
  open(): number {
    this.#reserve(4);
    this.#length += 4;
    return this.#length - 4;
  }

  close(start: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = 0;
    this.#length += 1;
    this.#bytes.writeInt32LE(this.#length - start, start);
  }

  /** `name` is Latin-1. */
  head(type: number, name: string): void {
    this.#reserve(name.length + 2);
    this.#bytes[this.#length] = type;
    this.#length += 1 + this.#bytes.write(name, this.#length + 1, "latin1");
    this.#bytes[this.#length] = 0;
    this.#length += 1;
  }

  element(type: number, name: string, bytes: Uint8Array, { begin, end }: { begin: number; end: number }): void {
    this.head(type, name);
    this.copy(bufferOf(bytes), begin, end);
  }

  copy(from: Buffer, begin: number, end: number): void {
    this.#reserve(end - begin);
    from.copy(this.#bytes, this.#length, begin, end);
    this.#length += end - begin;
  }

  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const wanted = this.#length + more;
    if (wanted <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(wanted * 2);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
