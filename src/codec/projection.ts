/** A BSON document without some of its fields, as BSON: an exclusion projection, in nested documents and in those of arrays. */

import { BSON, type DocumentAt, ElementWalker, readInt32 } from "./bson.ts";

/** The fields to leave out, by name: whole, or what is left out inside them. Plain data. */
export type ExcludedFields = ReadonlyMap<string, ExcludedFields | "whole">;

interface Exclusion {
  readonly name: Uint8Array;
  /** Undefined: the whole field. */
  readonly inside: readonly Exclusion[] | undefined;
}

const encoder = new TextEncoder();

export class Projection {
  readonly #excluded: readonly Exclusion[];
  /** At the top, fields with other names are left out too. Their UTF-8 as Latin-1, which no name changes. */
  readonly #only: ReadonlySet<string> | undefined;
  /** Of the document that was projected last. */
  #out = new Uint8Array(4096);
  #length = 0;

  /** `only`: at the top, fields with other names are left out too. */
  constructor(excluded: ExcludedFields, only?: readonly string[]) {
    this.#excluded = exclusionsOf(excluded);
    this.#only = only === undefined ? undefined : new Set(only.map((name) => Buffer.from(name).toString("latin1")));
  }

  /**
   * The document at `at` without the excluded fields; valid until the next call.
   * @throws MongotapError `data` for a corrupt document
   */
  apply(bytes: Uint8Array, at: number): DocumentAt {
    if (this.#excluded.length === 0 && this.#only === undefined) return { bytes, begin: at };
    const needed = readInt32(bytes, at); // it can only become shorter
    if (needed > this.#out.length) this.#out = new Uint8Array(needed * 2);
    this.#length = 0;
    this.#copy(bytes, at, this.#excluded, this.#only);
    return { bytes: this.#out.subarray(0, this.#length), begin: 0 };
  }

  #copy(bytes: Uint8Array, at: number, excluded: readonly Exclusion[], only?: ReadonlySet<string>): void {
    const begin = this.#length;
    this.#length += 4;
    const walker = new ElementWalker();
    walker.start(bytes, at);
    const text = only === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (walker.next()) {
      const rule = excluded.find(({ name }) => walker.nameIs(name));
      if (rule !== undefined && rule.inside === undefined) continue;
      const name = text?.toString("latin1", walker.nameBegin, walker.nameEnd);
      if (name !== undefined && only?.has(name) !== true) continue;
      if (rule?.inside === undefined) this.#append(bytes, walker.nameBegin - 1, walker.valueEnd);
      else this.#copyElement(bytes, walker, rule.inside);
    }
    this.#endAt(begin);
  }

  /** A document without the excluded fields, an array with all of its elements so, and any other value as it is. */
  #copyElement(bytes: Uint8Array, walker: ElementWalker, excluded: readonly Exclusion[]): void {
    const { type, nameBegin, valueBegin, valueEnd } = walker;
    const isNested = type === BSON.document || type === BSON.array;
    this.#append(bytes, nameBegin - 1, isNested ? valueBegin : valueEnd);
    if (type === BSON.document) this.#copy(bytes, valueBegin, excluded);
    if (type !== BSON.array) return;
    const begin = this.#length;
    this.#length += 4;
    const elements = new ElementWalker();
    elements.start(bytes, valueBegin);
    while (elements.next()) this.#copyElement(bytes, elements, excluded);
    this.#endAt(begin);
  }

  #endAt(begin: number): void {
    this.#out[this.#length++] = 0;
    new DataView(this.#out.buffer).setInt32(begin, this.#length - begin, true);
  }

  #append(bytes: Uint8Array, begin: number, end: number): void {
    this.#out.set(bytes.subarray(begin, end), this.#length);
    this.#length += end - begin;
  }
}

function exclusionsOf(excluded: ExcludedFields): Exclusion[] {
  return [...excluded].map(([name, inside]) => ({
    name: encoder.encode(name),
    inside: inside === "whole" ? undefined : exclusionsOf(inside),
  }));
}
