/** Reads back what `--as json` printed: the earlier state of things for `--diff`. */

import { MongotapError } from "../errors.ts";
import { CATALOG_FORMAT } from "./as-json.ts";

export interface KnownCatalog {
  /** When it was made, as an ISO date. */
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
  /** Undefined where no documents were looked at. */
  readonly sample: { readonly documents: number; readonly isWhole: boolean } | undefined;
  /** By path. */
  readonly fields: ReadonlyMap<string, KnownField>;
}

export interface KnownField {
  /** The sampled documents that hold it. */
  readonly documents: number;
  /** By type: the sampled documents with a value of it. */
  readonly types: ReadonlyMap<string, number>;
}

/** @throws MongotapError `config` when `text` is nothing that discover has printed; `from` names it */
export function parseCatalog(text: string, from: string): KnownCatalog {
  const reader = new Reader(from);
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw reader.fault("it is no JSON", error);
  }
  const { mongotap, format, at, namespaces, exclude, collections } = reader.object(root);
  if (typeof mongotap !== "string" || typeof format !== "number") throw reader.fault("mongotap did not print it");
  if (format !== CATALOG_FORMAT) throw reader.fault(`its form is ${format}, and this version knows ${CATALOG_FORMAT}`);
  return {
    at: reader.text(at),
    namespaces: reader.list(namespaces).map((name) => reader.text(name)),
    exclude: reader.list(exclude).map((name) => reader.text(name)),
    collections: reader.list(collections).map((entry) => collectionOf(entry, reader)),
  };
}

function collectionOf(entry: unknown, reader: Reader): KnownCollection {
  const { db, collection, type, options, sample, fields } = reader.object(entry);
  const { documents, how } = sample === null ? { documents: 0, how: "" } : reader.object(sample);
  return {
    db: reader.text(db),
    collection: reader.text(collection),
    type: reader.text(type),
    options: reader.object(options),
    sample: sample === null ? undefined : { documents: reader.number(documents), isWhole: how === "all" },
    fields: new Map(fields === null ? [] : reader.list(fields).map((field) => fieldOf(field, reader))),
  };
}

function fieldOf(field: unknown, reader: Reader): [path: string, known: KnownField] {
  const { path, documents, types } = reader.object(field);
  const known = reader.list(types).map((row): [string, number] => {
    const { type, documents: holders } = reader.object(row);
    return [reader.text(type), reader.number(holders)];
  });
  return [reader.text(path), { documents: reader.number(documents), types: new Map(known) }];
}

/** Values as what they have to be. */
class Reader {
  readonly #from: string;

  constructor(from: string) {
    this.#from = from;
  }

  fault(reason: string, cause?: unknown): MongotapError {
    return new MongotapError("config", `${this.#from} cannot be compared with: ${reason}`, {
      hint: "It takes what `mongotap discover --as json` printed.",
      ...(cause === undefined ? {} : { cause }),
    });
  }

  object(value: unknown): Readonly<Record<string, unknown>> {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
    throw this.fault("it is incomplete");
  }

  list(value: unknown): readonly unknown[] {
    if (Array.isArray(value)) return value;
    throw this.fault("it is incomplete");
  }

  text(value: unknown): string {
    if (typeof value === "string") return value;
    throw this.fault("it is incomplete");
  }

  number(value: unknown): number {
    if (typeof value === "number") return value;
    throw this.fault("it is incomplete");
  }
}
