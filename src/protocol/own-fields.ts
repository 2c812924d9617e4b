/**
 * Fields of a document that have the name of a field of the envelope: in JSON both are there, and readers keep the last
 * one, which is the envelope's. Counted, and reported at the end of a run.
 */

import { ElementWalker } from "../codec/bson.ts";
import { nameBits } from "../codec/name-bits.ts";
import type { Transcoder } from "../codec/transcoder.ts";

/**
 * A transcoder that counts in `counts`, by name, the documents with a top-level field of one of `names`. Each name begins
 * with `_`: the kernel says which documents are worth looking at.
 */
export function countingHidden(
  transcoder: Transcoder,
  names: readonly string[],
  counts: Map<string, number>,
): Transcoder {
  if (names.length === 0) return transcoder;
  const bits = nameBits(names);
  const fields = names.map((name) => [name, new TextEncoder().encode(name)] as const);
  const walker = new ElementWalker();
  const count = (bytes: Uint8Array, at: number): void => {
    const found = new Set<string>(); // a document may have a field twice
    walker.start(bytes, at);
    while (walker.next()) for (const [name, text] of fields) if (walker.nameIs(text)) found.add(name);
    for (const name of found) counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  return {
    counts: transcoder.counts,
    load: (bytes) => transcoder.load(bytes),
    writeDocument: (writer, bytes, at, limit) => transcoder.writeDocument(writer, bytes, at, limit),
    writeMembers(writer, bytes, at, limit) {
      const isNotEmpty = transcoder.writeMembers(writer, bytes, at, limit);
      if ((transcoder.takeNames() & bits) !== 0) count(bytes, at);
      return isNotEmpty;
    },
    takeNames: () => transcoder.takeNames(),
    writeValue: (writer, bytes, type, at, end) => transcoder.writeValue(writer, bytes, type, at, end),
  };
}
