/**
 * Fields of a document that have the name of a field of the envelope. In the JSON of an envelope both are there, and readers
 * keep the last one, which is the envelope's; in the messages of a platform, whose clients may refuse a name twice, it is
 * alone. Counted, and reported at the end of a run.
 */

import { ElementWalker } from "../codec/bson.ts";
import { nameBits } from "../codec/name-bits.ts";
import { type ExcludedFields, Projection } from "../codec/projection.ts";
import type { Transcoder } from "../codec/transcoder.ts";

export interface OwnFields {
  /** Each begins with `_`: the kernel says which documents are worth looking at. */
  readonly names: readonly string[];
  /** A field of the document with such a name is left out. */
  readonly replaces: boolean;
}

/** A transcoder that counts in `counts`, by name, the documents with a top-level field of an own name. */
export function countingHidden(
  transcoder: Transcoder,
  { names, replaces }: OwnFields,
  counts: Map<string, number>,
): Transcoder {
  if (names.length === 0) return transcoder;
  const bits = nameBits(names);
  const fields = names.map((name) => [name, new TextEncoder().encode(name)] as const);
  const excluded: ExcludedFields = new Map(names.map((name) => [name, "whole"]));
  const projection = new Projection(excluded);
  const walker = new ElementWalker();
  /** Counts the fields of the document; returns whether it has one. */
  const count = (bytes: Uint8Array, at: number): boolean => {
    const found = new Set<string>(); // a document may have a field twice
    walker.start(bytes, at);
    while (walker.next()) for (const [name, text] of fields) if (walker.nameIs(text)) found.add(name);
    for (const name of found) counts.set(name, (counts.get(name) ?? 0) + 1);
    return found.size > 0;
  };
  return {
    counts: transcoder.counts,
    load: (bytes) => transcoder.load(bytes),
    writeDocument: (writer, bytes, at, limit) => transcoder.writeDocument(writer, bytes, at, limit),
    writeMembers(writer, bytes, at, limit) {
      const start = writer.length;
      const isNotEmpty = transcoder.writeMembers(writer, bytes, at, limit);
      if ((transcoder.takeNames() & bits) === 0 || !count(bytes, at) || !replaces) return isNotEmpty;
      writer.length = start;
      const { bytes: others, begin } = projection.apply(bytes, at);
      const isAnyLeft = transcoder.writeMembers(writer, others, begin);
      transcoder.takeNames();
      return isAnyLeft;
    },
    takeNames: () => transcoder.takeNames(),
    writeValue: (writer, bytes, type, at, end) => transcoder.writeValue(writer, bytes, type, at, end),
  };
}
