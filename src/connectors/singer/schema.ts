/** The SCHEMA of a stream: the columns of its catalog, as the settings of the run write their values. */

import type { Settings } from "../../config/options.ts";
import { DELETED_AT } from "../../protocol/singer.ts";
import { asWritten, type Properties, type Schema, type ValueSettings } from "../written-columns.ts";
import type { TapStream } from "./catalog.ts";

export type ColumnSettings = ValueSettings & Pick<Settings, "columns">;

/** `hasChanges`: its records have the column of deletions. */
export function schemaMessage(
  { stream, schema, keys }: Pick<TapStream, "stream" | "schema" | "keys">,
  hasChanges: boolean,
  settings: ColumnSettings,
): unknown {
  const { properties = {}, ...rest } = schema as { properties?: Properties };
  const columns = Object.entries(properties).map(([name, column]) => [name, asWritten(column, settings)] as const);
  const written = Object.fromEntries(
    settings.columns === "fields" ? columns : [...columns.filter(([name]) => name === "_id"), DATA_COLUMN],
  );
  const deletedAt = hasChanges ? { [DELETED_AT]: { type: ["null", "string"], format: "date-time" } } : {};
  return {
    type: "SCHEMA",
    stream,
    schema: { ...rest, type: "object", properties: { ...written, ...deletedAt } },
    key_properties: keys,
  };
}

const DATA_COLUMN: readonly [string, Schema] = ["data", { type: ["null", "object"] }];
