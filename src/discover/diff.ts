/**
 * What has changed between two looks at the same collections. Samples differ by chance; what chance explains is no drift:
 * of a field (or a type) that one sample has and the other has not, it is asked how likely it is that all of its documents
 * came into the one sample although they are as frequent for the other. See docs/discover.md.
 */

import type { KnownCatalog, KnownCollection, KnownField } from "./earlier.ts";
import { parentOf } from "./paths.ts";

export interface Change {
  readonly collection: string;
  /** Null where the collection as a whole has changed. */
  readonly path: string | null;
  readonly change: "added" | "removed" | "type-added" | "type-removed" | "changed";
  /** Of the field; or what has changed about the collection. */
  readonly what: readonly string[];
  /** Of the sample that has it: documents that hold it, and documents in all; null for whole collections. */
  readonly documents: number | null;
  readonly sampled: number | null;
}

/** So rarely may chance alone be taken for drift, for each field. */
const LEAST_CHANCE = 1e-6;

/** All changes, by collection, in the order of the fields. Whatever either side did not ask for is left out by the caller. */
export function changesBetween(earlier: KnownCatalog, later: KnownCatalog): Change[] {
  const before = byName(earlier);
  const after = byName(later);
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return names.flatMap((name) => {
    const then = before.get(name);
    const now = after.get(name);
    if (then !== undefined && now !== undefined) return collectionChanges(name, then, now);
    return [whole(name, now === undefined ? "removed" : "added", [(now ?? then)?.type ?? "collection"])];
  });
}

function byName({ collections }: KnownCatalog): ReadonlyMap<string, KnownCollection> {
  return new Map(collections.map((entry) => [`${entry.db}.${entry.collection}`, entry]));
}

function whole(collection: string, change: Change["change"], what: readonly string[]): Change {
  return { collection, path: null, change, what, documents: null, sampled: null };
}

function collectionChanges(name: string, then: KnownCollection, now: KnownCollection): Change[] {
  const changes: Change[] = [];
  if (then.type !== now.type) changes.push(whole(name, "changed", [`type: ${then.type} → ${now.type}`]));
  const keys = [...new Set([...Object.keys(then.options), ...Object.keys(now.options)])].toSorted();
  const changed = keys.filter((key) => JSON.stringify(then.options[key]) !== JSON.stringify(now.options[key]));
  if (changed.length > 0) changes.push(whole(name, "changed", changed));
  // Of an empty collection nobody knows what its documents look like.
  if ((then.sample?.documents ?? 0) === 0 || (now.sample?.documents ?? 0) === 0) return changes;
  return [...changes, ...missingIn(name, then, now, "removed"), ...missingIn(name, now, then, "added")];
}

/** What `has` has and `lacks` has not. */
function missingIn(name: string, has: KnownCollection, lacks: KnownCollection, how: "added" | "removed"): Change[] {
  const sampled = has.sample?.documents ?? 0;
  const changes: Change[] = [];
  for (const [path, field] of has.fields) {
    const other = lacks.fields.get(path);
    if (other === undefined) {
      if (!isToldOf(path, lacks.fields) || isChance(field.documents, has, lacks)) continue;
      changes.push({
        collection: name,
        path,
        change: how,
        what: [...field.types.keys()],
        documents: field.documents,
        sampled,
      });
    } else {
      for (const [type, documents] of typesMissing(field, other)) {
        if (isChance(documents, has, lacks)) continue;
        changes.push({ collection: name, path, change: `type-${how}`, what: [type], documents, sampled });
      }
    }
  }
  return changes;
}

function typesMissing(field: KnownField, other: KnownField): (readonly [type: string, documents: number])[] {
  return [...field.types].filter(([type]) => !other.types.has(type));
}

/** Not told of are paths below what is missing itself, dynamic keys, and fields beside dynamic keys: they come and go. */
function isToldOf(path: string, fields: ReadonlyMap<string, KnownField>): boolean {
  const parent = parentOf(path) ?? "";
  const dynamic = parent === "" ? "*" : `${parent}.*`;
  return (parent === "" || fields.has(parent)) && path !== dynamic && !fields.has(dynamic);
}

/** Whether `documents` of `has` and none of `lacks` may be chance, when in truth both have the same share of them. */
function isChance(documents: number, has: KnownCollection, lacks: KnownCollection): boolean {
  // Where all documents were looked at, none is left that could have it.
  if (lacks.sample?.isWhole === true) return false;
  const own = has.sample?.documents ?? 0;
  const others = lacks.sample?.documents ?? 0;
  return (own / (own + others)) ** documents >= LEAST_CHANCE;
}
