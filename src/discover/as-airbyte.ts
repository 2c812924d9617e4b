/**
 * `--as airbyte`: the catalog as one CATALOG message of Airbyte's protocol.
 * https://docs.airbyte.com/understanding-airbyte/airbyte-protocol#airbytecatalog
 */

import { nameOf } from "../source/record.ts";
import type { Catalog, CatalogEntry } from "./catalog.ts";
import { columnsOf, type ColumnRules, hasKey, NAMESPACE_KEY, streamNames } from "./streams.ts";
import type { Schema } from "./value-schema.ts";

const AIRBYTE_RULES: ColumnRules = { dateTime: { format: "date-time", airbyte_type: "timestamp_with_timezone" } };

/** Columns about the change behind a record, under the names of Airbyte's own database sources. */
const CHANGE_COLUMNS: Readonly<Record<string, Schema>> = {
  _ab_cdc_cursor: { type: ["null", "string"] },
  _ab_cdc_deleted_at: { type: ["null", "string"] },
  _ab_cdc_updated_at: { type: ["null", "string"] },
};

export interface AirbyteStream {
  readonly name: string;
  readonly json_schema: { readonly properties: Readonly<Record<string, Schema>>; readonly [keyword: string]: unknown };
  readonly [key: string]: unknown;
}

/** `fields`: a column for each field. `data`: `_id`, and the document in one column. */
export function asAirbyte(catalog: Catalog): string {
  return `${JSON.stringify({ type: "CATALOG", catalog: { streams: airbyteStreams(catalog, "fields") } })}\n`;
}

/** The streams of an Airbyte catalog. */
export function airbyteStreams({ entries }: Catalog, form: "fields" | "data"): readonly AirbyteStream[] {
  // The name includes the database: some clients ignore the namespace and merge streams of one name.
  const names = streamNames(
    entries.map(({ info }) => info.namespace),
    nameOf,
  );
  return entries.map((entry) => streamOf(entry, names.get(entry.info.namespace) ?? "", form));
}

function streamOf(entry: CatalogEntry, name: string, form: "fields" | "data"): AirbyteStream {
  const { noStream, info } = entry;
  const fields = columnsOf(entry, AIRBYTE_RULES);
  const columns = form === "fields" ? fields : { ...pick(fields, "_id"), data: { type: ["null", "object"] } };
  const canStream = noStream === null;
  const properties = canStream ? { ...columns, ...CHANGE_COLUMNS } : columns;
  return {
    name,
    json_schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties,
      [NAMESPACE_KEY]: nameOf(info.namespace),
    },
    supported_sync_modes: canStream ? ["full_refresh", "incremental"] : ["full_refresh"],
    ...(canStream ? { source_defined_cursor: true, default_cursor_field: ["_ab_cdc_cursor"] } : {}),
    ...(hasKey(info) ? { source_defined_primary_key: [["_id"]] } : {}),
    // Views and time series have no position to resume from.
    is_resumable: info.type === "collection",
  };
}

function pick(columns: Readonly<Record<string, Schema>>, name: string): Record<string, Schema> {
  const column = columns[name];
  return column === undefined ? {} : { [name]: column };
}
