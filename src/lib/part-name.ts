/** Names for parts of a collection that have an output of their own, which no collection can have: NUL is in none. */

/** Part 3 of `shop.orders`. */
export function partOf(name: string, part: number): string {
  return `${name}\0${part}`;
}

/** The collection and the number of the part; undefined for the collection as a whole. */
export function wholeOf(name: string): { readonly name: string; readonly part: number | undefined } {
  const end = name.indexOf("\0");
  // What begins with NUL is no collection at all (protocol/bad-documents.ts).
  return end < 1 ? { name, part: undefined } : { name: name.slice(0, end), part: Number(name.slice(end + 1)) };
}
