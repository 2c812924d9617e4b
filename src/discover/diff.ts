/**
 * `--diff`: what has changed between two catalogs, as a table and as JSON. Two samples differ by chance. A field or type
 * that only one sample has is a change only if chance does not explain it: the probability that all of its documents fell
 * into that sample, if it is equally frequent in both, is below MIN_CHANCE. See docs/discover.md.
 */

import { countOf, tableOf } from "../observe/stats.ts";
import type { KnownCatalog, KnownCollection, KnownField } from "./as-json.ts";
import { dynamicPath, parentOf, printable } from "./field-rows.ts";

export interface Change {
  readonly collection: string;
  /** Of the field; null if the collection itself has changed. */
  readonly path: string | null;
  readonly change: "added" | "removed" | "type-added" | "type-removed" | "changed";
  /** The types of the field; or the changed properties of the collection. */
  readonly what: readonly string[];
  /** In the sample that has the field or type: the documents with it, and all documents; null for collections. */
  readonly documents: number | null;
  readonly sampled: number | null;
}

/** The probability, per field, that chance is taken for a change. */
const MIN_CHANCE = 1e-6;

/** All changes, sorted by collection, then in the order of the fields. Both catalogs must cover the same namespaces. */
export function changesBetween(earlier: KnownCatalog, later: KnownCatalog): Change[] {
  const before = byName(earlier);
  const after = byName(later);
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return names.flatMap((name) => {
    const then = before.get(name);
    const now = after.get(name);
    if (then !== undefined && now !== undefined) return collectionChanges(name, then, now);
    return [collectionChange(name, now === undefined ? "removed" : "added", [(now ?? then)?.type ?? "collection"])];
  });
}

function byName({ collections }: KnownCatalog): ReadonlyMap<string, KnownCollection> {
  return new Map(collections.map((entry) => [`${entry.db}.${entry.collection}`, entry]));
}

function collectionChange(collection: string, change: Change["change"], what: readonly string[]): Change {
  return { collection, path: null, change, what, documents: null, sampled: null };
}

function collectionChanges(name: string, then: KnownCollection, now: KnownCollection): Change[] {
  const changes: Change[] = [];
  if (then.type !== now.type) changes.push(collectionChange(name, "changed", [`type: ${then.type} → ${now.type}`]));
  const keys = [...new Set([...Object.keys(then.options), ...Object.keys(now.options)])].toSorted();
  const changed = keys.filter((key) => JSON.stringify(then.options[key]) !== JSON.stringify(now.options[key]));
  if (changed.length > 0) changes.push(collectionChange(name, "changed", changed));
  // An empty sample shows nothing of the fields.
  if ((then.sample?.documents ?? 0) === 0 || (now.sample?.documents ?? 0) === 0) return changes;
  return [...changes, ...missingFields(name, then, now, "removed"), ...missingFields(name, now, then, "added")];
}

/** Fields and types that `has` has and `lacks` does not. */
function missingFields(name: string, has: KnownCollection, lacks: KnownCollection, how: "added" | "removed"): Change[] {
  const sampled = has.sample?.documents ?? 0;
  const changes: Change[] = [];
  for (const [path, field] of has.fields) {
    const other = lacks.fields.get(path);
    if (other === undefined) {
      if (!isReported(path, lacks.fields) || isChance(field.documents, has, lacks)) continue;
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

/** False for paths below a missing path, for dynamic keys, and for fields beside dynamic keys: they vary by sample. */
function isReported(path: string, fields: ReadonlyMap<string, KnownField>): boolean {
  const parent = parentOf(path) ?? "";
  const dynamic = dynamicPath(parent);
  return (parent === "" || fields.has(parent)) && path !== dynamic && !fields.has(dynamic);
}

/** Whether chance explains that `documents` of `has` have what none of `lacks` has, if it is as frequent in both. */
function isChance(documents: number, has: KnownCollection, lacks: KnownCollection): boolean {
  // All documents were read: none is left that could have it.
  if (lacks.sample?.isFullCollection === true) return false;
  const own = has.sample?.documents ?? 0;
  const others = lacks.sample?.documents ?? 0;
  return (own / (own + others)) ** documents >= MIN_CHANCE;
}

const CHANGE_MARKS = { added: "+", removed: "-", "type-added": "~", "type-removed": "~", changed: "~" } as const;

export interface Comparison {
  readonly changes: readonly Change[];
  /** The time of the earlier catalog, as an ISO date. */
  readonly since: string;
  /** Number of collections compared. */
  readonly collections: number;
}

/** The changes as a table for people, with a last line that counts them. */
export function diffTable({ changes, since, collections }: Comparison): string {
  const rows = changes.map((change) => [
    CHANGE_MARKS[change.change],
    printable(change.collection),
    change.path ?? "",
    `${wordsOf(change)}${shareOf(change)}`,
  ]);
  const table = rows.length === 0 ? "" : `${tableOf(["", "NAMESPACE", "FIELD", "CHANGE"], rows)}\n`;
  const total = changes.length === 0 ? "no drift" : countOf(changes.length, "change");
  return `${table}${total} since ${printable(since)} in ${countOf(collections, "collection")}\n`;
}

/** The changes as JSON, one on each line. */
export function diffJson({ changes, since, collections }: Comparison): string {
  const head = JSON.stringify({ since, collections }).slice(0, -1);
  return `${head},"changes":[\n${changes.map((change) => JSON.stringify(change)).join(",\n")}\n]}\n`;
}

function wordsOf({ change, path, what }: Change): string {
  const names = printable(what.join(", "));
  switch (change) {
    case "added":
      return `new: ${names}`;
    case "removed":
      return `gone: was ${names}`;
    case "type-added":
      return `now also ${names}`;
    case "type-removed":
      return `no longer ${names}`;
    case "changed":
      return path === null ? `changed: ${names}` : names;
  }
}

function shareOf({ documents, sampled, change }: Change): string {
  if (documents === null || sampled === null) return "";
  const was = change === "removed" || change === "type-removed" ? "was " : "";
  return ` (${was}in ${documents.toLocaleString("en-US")} of ${countOf(sampled, "document")})`;
}
