/** Catalogs without a server, from documents as values. */

import { serialize } from "bson";
import type { Catalog, CatalogEntry } from "../../src/discover/catalog.ts";
import { type Examples, StructureBuilder, type Structure } from "../../src/discover/structure.ts";
import { fieldRowsOf } from "../../src/discover/field-rows.ts";

export function structureOf(documents: readonly (object | Uint8Array)[], examples?: Examples): Structure {
  const builder = new StructureBuilder(examples);
  for (const document of documents) builder.add(document instanceof Uint8Array ? document : serialize(document));
  return builder.finish();
}

/** Every row as `path: presence types`. */
export function linesOf(structure: Structure): string[] {
  return fieldRowsOf(structure).map(({ path, presence, types, keys }) => {
    const share = (value: number): number => Math.round(value * 1000) / 1000;
    const names = types.map((row) => (types.length === 1 ? row.type : `${row.type} ${share(row.share)}`));
    const dynamic = keys === undefined ? "" : ` (${keys.more ? "more than " : ""}${keys.count} keys)`;
    return `${path}: ${presence === null ? "" : `${share(presence)} `}${names.join(", ")}${dynamic}`;
  });
}

export interface EntryChoice extends Partial<Omit<CatalogEntry, "info" | "sampled">> {
  readonly info?: Partial<CatalogEntry["info"]>;
  readonly how?: "all" | "random" | "first";
  readonly examples?: Examples;
}

/** A usual collection `shop.orders`, changed by `choice`. Without documents it was not sampled. */
export function entryOf(documents: readonly object[] | undefined, choice: EntryChoice = {}): CatalogEntry {
  const { info, how = "all", examples, ...rest } = choice;
  const sample = { how, documents: documents?.length ?? 0, bytes: 0, cut: null };
  return {
    info: {
      namespace: { db: "shop", collection: "orders" },
      type: "collection",
      uuid: null,
      capped: false,
      clustered: false,
      images: false,
      options: {},
      ...info,
    },
    documents: documents?.length ?? null,
    bytes: 0,
    options: {},
    noStream: null,
    sampled: documents === undefined ? undefined : { ...sample, structure: structureOf(documents, examples) },
    failure: null,
    ...rest,
  };
}

export function catalogOf(entries: readonly CatalogEntry[], namespaces: readonly string[] = []): Catalog {
  return { version: "0.0.0", namespaces, exclude: [], at: "2026-01-31T12:00:00.000Z", entries };
}
