/**
 * `--as singer`: the catalog as Singer taps print it with `--discover`.
 * https://github.com/singer-io/getting-started/blob/master/docs/DISCOVERY_MODE.md
 */

import { nameOf, type Namespace } from "../source/record.ts";
import type { Catalog, CatalogEntry } from "./catalog.ts";
import { columnsOf, type ColumnRules, digestOf, hasKey, NAMESPACE_KEY, streamNames } from "./streams.ts";
import type { Schema } from "./value-schema.ts";

const SINGER_RULES: ColumnRules = { dateTime: { format: "date-time" } };

interface Metadata {
  readonly breadcrumb: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

export function asSinger({ entries }: Catalog): string {
  const ids = streamNames(
    entries.map(({ info }) => info.namespace),
    streamId,
  );
  const streams = entries.map((entry) => streamOf(entry, ids.get(entry.info.namespace) ?? ""));
  return `${JSON.stringify({ streams }, undefined, 2)}\n`;
}

/**
 * Only ASCII letters, digits and `_`. Meltano's `select` requires a dot to be escaped; SQL targets of Meltano's SDK take what
 * is behind the last `-` for the table, so that two collections would share one, and leave out other characters.
 */
function streamId(namespace: Namespace): string {
  const { db, collection } = namespace;
  const name = `${db}_${collection}`;
  const ascii = name.replaceAll(/\W+/g, "_");
  return /[^ -~]/.test(name) ? `${ascii}_${digestOf(nameOf(namespace))}` : ascii;
}

function streamOf(entry: CatalogEntry, id: string): unknown {
  const properties = columnsOf(entry, SINGER_RULES);
  return {
    tap_stream_id: id,
    stream: id,
    table_name: entry.info.namespace.collection,
    schema: { type: "object", properties, [NAMESPACE_KEY]: nameOf(entry.info.namespace) },
    key_properties: keyOf(entry),
    metadata: [streamMetadata(entry), ...propertyMetadata(properties, [])],
  };
}

function keyOf({ info }: CatalogEntry): readonly string[] {
  return hasKey(info) ? ["_id"] : [];
}

function streamMetadata(entry: CatalogEntry): Metadata {
  const { info, documents, noStream } = entry;
  return {
    breadcrumb: [],
    metadata: {
      inclusion: "available",
      "selected-by-default": true,
      "table-key-properties": keyOf(entry),
      "forced-replication-method": noStream === null ? "LOG_BASED" : "FULL_TABLE",
      "database-name": info.namespace.db,
      "is-view": info.type === "view",
      ...(documents === null ? {} : { "row-count": documents }),
    },
  };
}

/** One entry for every property, at every depth: Meltano would invent missing ones. */
function* propertyMetadata(
  properties: Readonly<Record<string, Schema>>,
  parent: readonly string[],
): Generator<Metadata> {
  for (const [name, schema] of Object.entries(properties)) {
    const breadcrumb = [...parent, "properties", name];
    const isKey = parent.length === 0 && name === "_id";
    yield {
      breadcrumb,
      metadata: isKey ? { inclusion: "automatic" } : { inclusion: "available", "selected-by-default": true },
    };
    const inner = schema["properties"];
    if (inner !== undefined) yield* propertyMetadata(inner as Readonly<Record<string, Schema>>, breadcrumb);
  }
}
