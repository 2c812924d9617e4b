/** The rule of `--arrays array`: all elements of an array are of one BSON type; null goes with any. */

import { BSON, ElementWalker } from "./bson.ts";

const walker = new ElementWalker();

/**
 * Whether the array at `at` holds elements of different types. int32, int64 and double are three types: whoever asks
 * for one type declares a column of it. Throws MongotapError("data") where the array is corrupt.
 */
export function isMixed(bytes: Uint8Array, at: number): boolean {
  let first: number = BSON.null;
  walker.start(bytes, at);
  while (walker.next()) {
    if (walker.type === BSON.null || walker.type === first) continue;
    if (first !== BSON.null) return true;
    first = walker.type;
  }
  return false;
}

/** The types of the elements of the array at `at`, each once, in the order of their first element. */
export function elementTypes(bytes: Uint8Array, at: number): number[] {
  const types = new Set<number>();
  walker.start(bytes, at);
  while (walker.next()) types.add(walker.type);
  return [...types];
}
