/** `--as json`: the catalog as JSON, one collection on each line, and its parser for `--diff`; see docs/discover.md. */

import { MongotapError } from "../errors.ts";
import type { Catalog, CatalogEntry } from "./catalog.ts";
import { type FieldRow, fieldRowsOf } from "./field-rows.ts";

/** The version of this format; raised when a parser of the old one would fail or misread. */
const CATALOG_FORMAT = 1;

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
    fields: sampled === undefined ? null : fieldRowsOf(sampled.structure).map(fieldJson),
  };
}

function fieldJson({ path, presence, values, documents, types, examples, keys, isTruncated }: FieldRow): unknown {
  return {
    path,
    presence: presence === null ? null : rounded(presence),
    values,
    documents,
    types: types.map(({ type, share, documents: holders }) => ({ type, share: rounded(share), documents: holders })),
    ...(examples.length === 0 ? {} : { examples }),
    ...(keys === undefined ? {} : { keys: keys.count, moreKeys: keys.more }),
    ...(isTruncated ? { cut: true } : {}),
  };
}

/** Rounds a share to four digits, but only 0 to 0 (none) and only 1 to 1 (all). */
function rounded(share: number): number {
  if (share === 0 || share === 1) return share;
  return Math.min(0.9999, Math.max(0.0001, Math.round(share * 10_000) / 10_000));
}

export interface KnownCatalog {
  /** The time at which it was made, as an ISO date. */
  readonly at: string;
  readonly namespaces: readonly string[];
  readonly exclude: readonly string[];
  readonly collections: readonly KnownCollection[];
}

export interface KnownCollection {
  readonly db: string;
  readonly collection: string;
  readonly type: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Undefined if no documents were read. `isFullCollection`: the sample is all of its documents. */
  readonly sample: { readonly documents: number; readonly isFullCollection: boolean } | undefined;
  /** By path. */
  readonly fields: ReadonlyMap<string, KnownField>;
}

export interface KnownField {
  /** Sampled documents that hold it. */
  readonly documents: number;
  /** Sampled documents with a value of the type, by type. */
  readonly types: ReadonlyMap<string, number>;
}

/** Parses what asJson returned. Throws MongotapError("config"), which names `from`, for any other text. */
export function parseCatalog(text: string, from: string): KnownCatalog {
  const reader = new CatalogReader(from);
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw reader.problem("it is no JSON", error);
  }
  const { mongotap, format, at, namespaces, exclude, collections } = reader.object(root);
  if (typeof mongotap !== "string" || typeof format !== "number") throw reader.problem("mongotap did not print it");
  if (format !== CATALOG_FORMAT)
    throw reader.problem(`its form is ${format}, and this version knows ${CATALOG_FORMAT}`);
  return {
    at: reader.text(at),
    namespaces: reader.list(namespaces).map((name) => reader.text(name)),
    exclude: reader.list(exclude).map((name) => reader.text(name)),
    collections: reader.list(collections).map((entry) => collectionOf(entry, reader)),
  };
}

function collectionOf(entry: unknown, reader: CatalogReader): KnownCollection {
  const { db, collection, type, options, sample, fields } = reader.object(entry);
  const { documents, how } = sample === null ? { documents: 0, how: "" } : reader.object(sample);
  return {
    db: reader.text(db),
    collection: reader.text(collection),
    type: reader.text(type),
    options: reader.object(options),
    sample: sample === null ? undefined : { documents: reader.number(documents), isFullCollection: how === "all" },
    fields: new Map(fields === null ? [] : reader.list(fields).map((field) => fieldOf(field, reader))),
  };
}

function fieldOf(field: unknown, reader: CatalogReader): [path: string, known: KnownField] {
  const { path, documents, types } = reader.object(field);
  const known = reader.list(types).map((row): [string, number] => {
    const { type, documents: holders } = reader.object(row);
    return [reader.text(type), reader.number(holders)];
  });
  return [reader.text(path), { documents: reader.number(documents), types: new Map(known) }];
}

/** Narrows parsed JSON. Each method throws MongotapError("config") for a value of another type. */
class CatalogReader {
  readonly #from: string;

  constructor(from: string) {
    this.#from = from;
  }

  problem(reason: string, cause?: unknown): MongotapError {
    return new MongotapError("config", `${this.#from} cannot be compared with: ${reason}`, {
      hint: "It takes what `mongotap discover --as json` printed.",
      ...(cause === undefined ? {} : { cause }),
    });
  }

  object(value: unknown): Readonly<Record<string, unknown>> {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
    throw this.problem("it is incomplete");
  }

  list(value: unknown): readonly unknown[] {
    if (Array.isArray(value)) return value;
    throw this.problem("it is incomplete");
  }

  text(value: unknown): string {
    if (typeof value === "string") return value;
    throw this.problem("it is incomplete");
  }

  number(value: unknown): number {
    if (typeof value === "number") return value;
    throw this.problem("it is incomplete");
  }
}
