/** `--as jsonschema`: the JSON Schema of the lines that `backfill` prints, inferred from the sample. */

import type { Format } from "../codec/transcoder.ts";
import { nameOf } from "../source/record.ts";
import { type Catalog, type CatalogEntry, namesOneCollection } from "./catalog.ts";
import { type Schema, SchemaMaker } from "./value-schema.ts";

const JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** The schema of the collection if exactly one was requested; else all schemas in `$defs`, by `db.collection`. */
export function asJsonSchema(catalog: Catalog, format: Format): string {
  const maker = new SchemaMaker(format);
  const [only] = catalog.entries;
  if (namesOneCollection(catalog) && only !== undefined) {
    const schema = collectionSchema(only, maker);
    return textOf({ $schema: JSON_SCHEMA_DIALECT, ...schema, $defs: maker.definitions() });
  }
  const schemas = catalog.entries.map(
    (entry) => [nameOf(entry.info.namespace), collectionSchema(entry, maker)] as const,
  );
  return textOf({ $schema: JSON_SCHEMA_DIALECT, $defs: { ...Object.fromEntries(schemas), ...maker.definitions() } });
}

function collectionSchema({ info, sampled }: CatalogEntry, maker: SchemaMaker): Schema {
  const title = nameOf(info.namespace);
  return sampled === undefined ? { title, type: "object" } : { title, ...maker.objectSchema(sampled.structure.root) };
}

function textOf(schema: Schema): string {
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
