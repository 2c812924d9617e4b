/** The fields of a collection as rows, in the order of the documents: what tables, pages and JSON show of them. */

import { type BsonType, type Field, KeyCounter, type ObjectFields } from "./field.ts";
import type { Structure } from "./fold.ts";
import { dynamicPath, elementsPath, fieldPath } from "./paths.ts";

export interface TypeRow {
  readonly type: BsonType;
  /** Of the values at the path. */
  readonly share: number;
  /** The sampled documents with such a value: at least so many. */
  readonly documents: number;
}

export interface FieldRow {
  readonly path: string;
  /** The last step of the path, as text. */
  readonly label: string;
  readonly depth: number;
  /** The share of the documents one step above that have it; null for elements of arrays and for dynamic keys. */
  readonly presence: number | null;
  readonly values: number;
  /** The sampled documents that hold it: at least so many. */
  readonly documents: number;
  /** The most frequent one first. */
  readonly types: readonly TypeRow[];
  readonly examples: readonly string[];
  /** Of dynamic keys: how many there are, `more` where the count ends there. */
  readonly keys?: { readonly count: number; readonly more: boolean };
  /** What lies below is not told in full: too deep, or too many fields. */
  readonly isCut: boolean;
}

/** All of them, parents before what is inside. */
export function rowsOf({ root }: Structure): FieldRow[] {
  return [...objectRows(root, "", 0)];
}

function* objectRows(object: ObjectFields, parent: string, depth: number): Generator<FieldRow> {
  for (const field of object.order) {
    const path = fieldPath(parent, field.name);
    const label = path.slice(parent.length).replace(/^\./, "");
    yield* fieldRows(field, { path, label, depth, presence: field.presentIn / object.objects });
  }
  if (object.others === undefined) return;
  const { count } = object.otherKeys;
  const keys = { count, more: count === KeyCounter.most };
  yield* fieldRows(object.others, { path: dynamicPath(parent), label: "*", depth, presence: null, keys });
}

function* fieldRows(
  field: Field,
  place: Pick<FieldRow, "path" | "label" | "depth" | "presence" | "keys">,
): Generator<FieldRow> {
  const { seen, object, items, examples } = field;
  const isCut = field.isCut || (object?.isCut ?? false);
  yield { ...place, values: seen.values, documents: seen.documents, types: typeRows(field), examples, isCut };
  if (object !== undefined) yield* objectRows(object, place.path, place.depth + 1);
  if (items === undefined || items.seen.values === 0) return;
  const path = elementsPath(place.path);
  yield* fieldRows(items, { path, label: "[]", depth: place.depth + 1, presence: null });
}

function typeRows({ types, seen }: Field): TypeRow[] {
  return [...types]
    .map(([type, { values, documents }]) => ({ type, share: values / seen.values, documents }))
    .toSorted((a, b) => b.share - a.share || (a.type < b.type ? -1 : 1));
}
