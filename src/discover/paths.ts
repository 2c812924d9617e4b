/**
 * Paths as text: `customer.address.zip`, `lines[].sku` for what is inside an array, `scores.*` for dynamic keys. A name
 * that could be taken for something else is quoted as JSON: `totals["a.b"]`. So every path has one text, and no two have
 * the same.
 */

const ELEMENTS = "[]";
const DYNAMIC = "*";

/** The path of the field `name` of the documents at `parent`; the root is the empty path. */
export function fieldPath(parent: string, name: string): string {
  if (isOdd(name)) return `${parent}[${printable(JSON.stringify(name)).replaceAll("[", "\\u005b")}]`;
  return parent === "" ? name : `${parent}.${name}`;
}

/** The path of the elements of the arrays at `parent`. */
export function elementsPath(parent: string): string {
  return `${parent}${ELEMENTS}`;
}

/** The path of the values of dynamic keys of the documents at `parent`. */
export function dynamicPath(parent: string): string {
  return parent === "" ? DYNAMIC : `${parent}.${DYNAMIC}`;
}

/** The path that `path` is a step below of; undefined for the root. */
export function parentOf(path: string): string | undefined {
  if (path === "") return undefined;
  if (path.endsWith(ELEMENTS)) return path.slice(0, -ELEMENTS.length);
  // Inside the quotes there is no `[`: this finds the begin of the last name.
  if (path.endsWith('"]')) return path.slice(0, path.lastIndexOf('["'));
  return path.slice(0, Math.max(0, path.lastIndexOf(".")));
}

function isOdd(name: string): boolean {
  return name === "" || name === DYNAMIC || /[.[\]"\p{Cc}\p{Cf}\p{Cs}\p{Z}]/u.test(name);
}

/** Names can hold anything: a terminal must not obey them, and a line stays one line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}
