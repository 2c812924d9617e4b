/** The catalog as JSON, one collection on each line: for programs, and for `--diff` later on. docs/discover.md has the keys. */

import type { Catalog, CatalogEntry } from "./collection.ts";
import { type FieldRow, rowsOf } from "./rows.ts";

/** Of the form of this output. Higher when readers of the old one would go wrong. */
export const CATALOG_FORMAT = 1;

export function asJson({ version, at, namespaces, exclude, entries }: Catalog): string {
  const head = JSON.stringify({ mongotap: version, format: CATALOG_FORMAT, at, namespaces, exclude }).slice(0, -1);
  return `${head},"collections":[\n${entries.map((entry) => JSON.stringify(collectionJson(entry))).join(",\n")}\n]}\n`;
}

function collectionJson({ info, documents, bytes, options, noStream, sampled, failure }: CatalogEntry): unknown {
  const { namespace, type, capped, clustered, images, uuid } = info;
  const sample =
    sampled === undefined
      ? null
      : {
          documents: sampled.documents,
          bytes: sampled.bytes,
          how: sampled.how,
          cut: sampled.cut,
          corrupt: sampled.structure.corrupt,
        };
  return {
    db: namespace.db,
    collection: namespace.collection,
    type,
    documents,
    bytes,
    capped,
    clustered,
    images,
    uuid,
    canStream: noStream === null,
    whyNot: noStream,
    options,
    sample,
    failure,
    fields: sampled === undefined ? null : rowsOf(sampled.structure).map(fieldJson),
  };
}

function fieldJson({ path, presence, values, documents, types, examples, keys, isCut }: FieldRow): unknown {
  return {
    path,
    presence: presence === null ? null : rounded(presence),
    values,
    documents,
    types: types.map(({ type, share, documents: holders }) => ({ type, share: rounded(share), documents: holders })),
    ...(examples.length === 0 ? {} : { examples }),
    ...(keys === undefined ? {} : { keys: keys.count, moreKeys: keys.more }),
    ...(isCut ? { cut: true } : {}),
  };
}

/** Four digits, but never a whole number that it is not: 1 means all, 0 none. */
function rounded(share: number): number {
  if (share === 0 || share === 1) return share;
  return Math.min(0.9999, Math.max(0.0001, Math.round(share * 10_000) / 10_000));
}
