/** What is wrong with the form of a file, in words: the schema library names types of JavaScript. */

/** The first thing that a schema refuses. */
export interface Mismatch {
  /** Such as `bookmarks.a`; null for the whole. */
  readonly path: string | null;
  /** As the schema names it: `Array`, or `("a" | "b")`. */
  readonly expected: string | null;
  /** `undefined` where a key is missing. */
  readonly received: string;
}

const WORDS: Readonly<Record<string, string>> = {
  Array: "a list",
  Object: "an object",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

/** `lacks streams.0.name`, or `has something else than a list in streams`. Quotes no value. */
export function mismatchText({ path, expected, received }: Mismatch): string {
  if (received === "undefined") return `lacks ${path ?? "its content"}`;
  const wanted = (expected ?? "")
    .replaceAll(/[()"]/g, "")
    .split(" | ")
    .map((name) => WORDS[name] ?? name)
    .join(" or ");
  const what = wanted === "" ? "an unknown value" : `something other than ${wanted}`;
  return path === null ? `is ${what}` : `has ${what} in ${path}`;
}
