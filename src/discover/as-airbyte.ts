/**
 * The catalog as Airbyte's protocol has it: one CATALOG message.
 * https://docs.airbyte.com/understanding-airbyte/airbyte-protocol#airbytecatalog
 */

import { nameOf } from "../source/record.ts";
import type { Catalog, CatalogEntry } from "./collection.ts";
import { columnsOf, type ColumnRules, hasKey } from "./column-schema.ts";
import { streamNames } from "./stream-names.ts";
import type { Schema } from "./wrappers.ts";

const RULES: ColumnRules = { moment: { format: "date-time", airbyte_type: "timestamp_with_timezone" } };

/** What a record says of the change that made it, under the names that Airbyte's own database sources use. */
const CHANGE_COLUMNS: Readonly<Record<string, Schema>> = {
  _ab_cdc_cursor: { type: "integer" },
  _ab_cdc_deleted_at: { type: ["null", "string"] },
  _ab_cdc_updated_at: { type: ["null", "string"] },
};

export function asAirbyte({ entries }: Catalog): string {
  // The database belongs to the name: some clients leave the namespace aside, and mix what is called the same.
  const names = streamNames(
    entries.map(({ info }) => info.namespace),
    nameOf,
  );
  const streams = entries.map((entry) => streamOf(entry, names.get(entry.info.namespace) ?? ""));
  return `${JSON.stringify({ type: "CATALOG", catalog: { streams } })}\n`;
}

function streamOf(entry: CatalogEntry, name: string): unknown {
  const { noStream, info } = entry;
  const columns = columnsOf(entry, RULES);
  const canStream = noStream === null;
  const properties = canStream ? { ...columns, ...CHANGE_COLUMNS } : columns;
  return {
    name,
    json_schema: { $schema: "http://json-schema.org/draft-07/schema#", type: "object", properties },
    supported_sync_modes: canStream ? ["full_refresh", "incremental"] : ["full_refresh"],
    ...(canStream ? { source_defined_cursor: true, default_cursor_field: ["_ab_cdc_cursor"] } : {}),
    ...(hasKey(info) ? { source_defined_primary_key: [["_id"]] } : {}),
    // A view or a time series has nothing to go on from.
    is_resumable: info.type === "collection",
  };
}
