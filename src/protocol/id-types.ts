/**
 * The types of the `_id`s of each collection that `--format plain` writes as text. Different `_id`s of two such types may
 * become the same text, so that readers take two documents for one. No `_id` is kept: only types are counted.
 */

import { BSON, ElementWalker, nameOfType } from "../codec/bson.ts";
import type { IdTypeCount } from "../source/record.ts";

/** A type byte, and from bit 8 on the subtype of a binary, which plain text leaves out as well. */
type IdType = number;

const ID_NAME = new TextEncoder().encode("_id");
const NO_TEXT = 0;

/** By `db.collection`, how many `_id`s of each type. */
export class IdTypes {
  readonly #collections = new Map<string, Map<IdType, number>>();
  readonly #walker = new ElementWalker();

  /** Counts the `_id`s of documents, each of which begins with it; others (of views) are left out. */
  addDocuments(name: string, bytes: Uint8Array, offsets: readonly number[]): void {
    let type = NO_TEXT;
    let count = 0;
    for (const at of offsets) {
      const next = isIdAt(bytes, at + 5) ? textType(bytes, bytes[at + 4] as number, at + 9) : NO_TEXT;
      if (next !== type) {
        this.add(name, type, count);
        type = next;
        count = 0;
      }
      count += 1;
    }
    this.add(name, type, count);
  }

  /** Counts the `_id` in a document key, where the fields of a shard key may come first. */
  addKey(name: string, bytes: Uint8Array, at: number): void {
    const walker = this.#walker;
    walker.start(bytes, at);
    while (walker.next()) {
      if (walker.nameIs(ID_NAME)) this.add(name, textType(bytes, walker.type, walker.valueBegin), 1);
    }
  }

  add(name: string, type: IdType, count: number): void {
    if (type === NO_TEXT || count === 0) return;
    let types = this.#collections.get(name);
    if (types === undefined) this.#collections.set(name, (types = new Map<number, number>()));
    types.set(type, (types.get(type) ?? 0) + count);
  }

  /** Returns all counts as plain data. */
  counts(): readonly IdTypeCount[] {
    return [...this.#collections].flatMap(([name, types]) =>
      [...types].map(([type, count]) => [name, type, count] as const),
    );
  }

  /** Returns and forgets all counts. */
  take(): readonly IdTypeCount[] {
    const counts = this.counts();
    this.#collections.clear();
    return counts;
  }

  /** Replaces all counts. */
  set(counts: readonly IdTypeCount[]): void {
    this.#collections.clear();
    for (const [name, type, count] of counts) this.add(name, type, count);
  }

  /** By `db.collection`, how many `_id`s of each type, where some of different types may be the same text. */
  alike(): ReadonlyMap<string, readonly (readonly [string, number])[]> {
    const found = new Map<string, readonly (readonly [string, number])[]>();
    for (const [name, types] of this.#collections) {
      if (!mayBeAlike([...types.keys()])) continue;
      const counts = [...types].map(([type, count]) => [typeName(type), count] as const);
      found.set(
        name,
        counts.toSorted(([a], [b]) => (a < b ? -1 : 1)),
      );
    }
    return found;
  }
}

function isIdAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x5f && bytes[at + 1] === 0x69 && bytes[at + 2] === 0x64 && bytes[at + 3] === 0;
}

/** The type of a value that is text in plain JSON; else NO_TEXT. */
function textType(bytes: Uint8Array, type: number, at: number): IdType {
  switch (type) {
    case BSON.string:
    case BSON.objectId:
    case BSON.date:
    case BSON.decimal128:
      return type;
    case BSON.binary:
      return type | ((bytes[at + 4] as number) << 8);
    case BSON.double: // NaN and the infinities are text
      return ((bytes[at + 7] as number) & 0x7f) === 0x7f && (bytes[at + 6] as number) >= 0xf0 ? type : NO_TEXT;
    default:
      return NO_TEXT;
  }
}

/** The text of a date is that of a string alone; every other two types have texts in common. */
function mayBeAlike(types: readonly IdType[]): boolean {
  const others = types.filter((type) => type !== BSON.date);
  return others.length > 1 || (others.length < types.length && others.includes(BSON.string));
}

function typeName(type: IdType): string {
  return (type & 0xff) === BSON.binary ? `binary of subtype ${type >> 8}` : nameOfType(type);
}
