/** A BSON document without some of its fields, as BSON: an exclusion projection, at any depth of documents. */

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
  /** Of the document that was projected last. */
  #out = new Uint8Array(4096);
  #length = 0;

  constructor(excluded: ExcludedFields) {
    this.#excluded = exclusionsOf(excluded);
  }

  /**
   * The document at `at` without the excluded fields; valid until the next call.
   * @throws MongotapError `data` for a corrupt document
   */
  apply(bytes: Uint8Array, at: number): DocumentAt {
    if (this.#excluded.length === 0) return { bytes, begin: at };
    const needed = readInt32(bytes, at); // it can only become shorter
    if (needed > this.#out.length) this.#out = new Uint8Array(needed * 2);
    this.#length = 0;
    this.#copy(bytes, at, this.#excluded);
    return { bytes: this.#out.subarray(0, this.#length), begin: 0 };
  }

  #copy(bytes: Uint8Array, at: number, excluded: readonly Exclusion[]): void {
    const begin = this.#length;
    this.#length += 4;
    const walker = new ElementWalker();
    walker.start(bytes, at);
    while (walker.next()) {
      const rule = excluded.find(({ name }) => walker.nameIs(name));
      if (rule !== undefined && rule.inside === undefined) continue;
      const elementBegin = walker.nameBegin - 1;
      if (rule?.inside === undefined || walker.type !== BSON.document) {
        this.#append(bytes, elementBegin, walker.valueEnd);
        continue;
      }
      this.#append(bytes, elementBegin, walker.valueBegin);
      this.#copy(bytes, walker.valueBegin, rule.inside);
    }
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
