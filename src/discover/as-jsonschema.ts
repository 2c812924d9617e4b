/** JSON Schema of the lines that `backfill` prints, as the sampled documents have it. */

import type { Format } from "../codec/transcoder.ts";
import { nameOf } from "../source/record.ts";
import { type Catalog, type CatalogEntry, namesOneCollection } from "./collection.ts";
import { SchemaMaker } from "./value-schema.ts";
import type { Schema } from "./wrappers.ts";

const DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** The schema itself where one collection was named; else all of them in `$defs`, by `db.collection`. */
export function asJsonSchema(catalog: Catalog, format: Format): string {
  const maker = new SchemaMaker(format);
  const [only] = catalog.entries;
  if (namesOneCollection(catalog) && only !== undefined) {
    const schema = collectionSchema(only, maker);
    return textOf({ $schema: DIALECT, ...schema, $defs: maker.definitions() });
  }
  const schemas = catalog.entries.map(
    (entry) => [nameOf(entry.info.namespace), collectionSchema(entry, maker)] as const,
  );
  return textOf({ $schema: DIALECT, $defs: { ...Object.fromEntries(schemas), ...maker.definitions() } });
}

function collectionSchema({ info, sampled }: CatalogEntry, maker: SchemaMaker): Schema {
  const title = nameOf(info.namespace);
  return sampled === undefined ? { title, type: "object" } : { title, ...maker.objectSchema(sampled.structure.root) };
}

function textOf(schema: Schema): string {
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
