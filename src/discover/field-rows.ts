/** The fields of a collection as rows, for tables, pages and JSON; and their paths as text. */

import { type BsonType, type Field, KeyCounter, type ObjectFields } from "./field.ts";
import type { Structure } from "./structure.ts";

export interface TypeRow {
  readonly type: BsonType;
  /** Of the values at the path: 0 … 1. */
  readonly share: number;
  /** Sampled documents with such a value; a lower bound below dynamic keys. */
  readonly documents: number;
}

export interface FieldRow {
  readonly path: string;
  /** The last step of the path. */
  readonly label: string;
  /** Steps of the path, from 0. */
  readonly depth: number;
  /** The share of the documents one step above that have it; null for elements of arrays and for dynamic keys. */
  readonly presence: number | null;
  readonly values: number;
  /** Sampled documents that hold it; a lower bound below dynamic keys. */
  readonly documents: number;
  /** The most frequent one first. */
  readonly types: readonly TypeRow[];
  readonly examples: readonly string[];
  /** Only of dynamic keys: the number of distinct keys; `more` if there are that many or more. */
  readonly keys?: { readonly count: number; readonly more: boolean };
  /** The rows below are incomplete: too deep, or too many fields. */
  readonly isTruncated: boolean;
}

/** All rows in order of appearance, parents before their children. */
export function fieldRowsOf({ root }: Structure): FieldRow[] {
  return [...rowsOfObject(root, "", 0)];
}

function* rowsOfObject(object: ObjectFields, parent: string, depth: number): Generator<FieldRow> {
  for (const field of object.list) {
    const path = fieldPath(parent, field.name);
    const label = path.slice(parent.length).replace(/^\./, "");
    yield* rowsOfField(field, { path, label, depth, presence: field.presentIn / object.objects });
  }
  if (object.dynamic === undefined) return;
  const { count } = object.dynamicKeys;
  const keys = { count, more: count === KeyCounter.max };
  yield* rowsOfField(object.dynamic, { path: dynamicPath(parent), label: "*", depth, presence: null, keys });
}

function* rowsOfField(
  field: Field,
  place: Pick<FieldRow, "path" | "label" | "depth" | "presence" | "keys">,
): Generator<FieldRow> {
  const { seen, object, items, examples } = field;
  const isTruncated = field.isTruncated || (object?.isTruncated ?? false);
  yield { ...place, values: seen.values, documents: seen.documents, types: typeRows(field), examples, isTruncated };
  if (object !== undefined) yield* rowsOfObject(object, place.path, place.depth + 1);
  if (items === undefined || items.seen.values === 0) return;
  const path = elementsPath(place.path);
  yield* rowsOfField(items, { path, label: "[]", depth: place.depth + 1, presence: null });
}

function typeRows({ types, seen }: Field): TypeRow[] {
  return [...types]
    .map(([type, { values, documents }]) => ({ type, share: values / seen.values, documents }))
    .toSorted((a, b) => b.share - a.share || (a.type < b.type ? -1 : 1));
}

const ELEMENTS_STEP = "[]";
const DYNAMIC_STEP = "*";

/**
 * The path of the field `name` of the documents at `parent` (the root is the empty path): `customer.address.zip`. A name
 * that could be taken for something else is quoted as JSON: `totals["a.b"]`. Distinct fields have distinct paths.
 */
export function fieldPath(parent: string, name: string): string {
  if (needsQuotes(name)) return `${parent}[${printable(JSON.stringify(name)).replaceAll("[", "\\u005b")}]`;
  return parent === "" ? name : `${parent}.${name}`;
}

/** The path of the elements of the arrays at `parent`: `lines[]`. */
export function elementsPath(parent: string): string {
  return `${parent}${ELEMENTS_STEP}`;
}

/** The path of the values of the dynamic keys of the documents at `parent`: `scores.*`. */
export function dynamicPath(parent: string): string {
  return parent === "" ? DYNAMIC_STEP : `${parent}.${DYNAMIC_STEP}`;
}

/** The path one step above `path`; undefined for the root. */
export function parentOf(path: string): string | undefined {
  if (path === "") return undefined;
  if (path.endsWith(ELEMENTS_STEP)) return path.slice(0, -ELEMENTS_STEP.length);
  // A quoted name contains no `[`, so this finds its begin.
  if (path.endsWith('"]')) return path.slice(0, path.lastIndexOf('["'));
  return path.slice(0, Math.max(0, path.lastIndexOf(".")));
}

function needsQuotes(name: string): boolean {
  return name === "" || name === DYNAMIC_STEP || /[.[\]"\p{Cc}\p{Cf}\p{Cs}\p{Z}]/u.test(name);
}

/** `text` with control, format and line-separator characters as `\uXXXX`: safe for a terminal, and one line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}
