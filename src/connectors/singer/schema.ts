/** The SCHEMA of a stream: the columns of its catalog, as the settings of the run write their values. */

import type { Settings } from "../../config/options.ts";
import { EVERY_TYPE } from "../../discover/streams.ts";
import { DELETED_AT } from "../../protocol/singer.ts";
import type { TapStream } from "./catalog.ts";

type Schema = Readonly<Record<string, unknown>>;
type Properties = Readonly<Record<string, Schema>>;

export type ValueSettings = Pick<Settings, "columns" | "format" | "documents"> & Partial<Pick<Settings, "arrays">>;

/** `hasChanges`: its records have the column of deletions. */
export function schemaMessage(
  { stream, schema, keys }: Pick<TapStream, "stream" | "schema" | "keys">,
  hasChanges: boolean,
  settings: ValueSettings,
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

/** Discovery describes values as `format: plain` writes them, and containers as JSON. */
function asWritten(column: Schema, settings: ValueSettings): Schema {
  if (settings.format !== "plain") return { type: EVERY_TYPE };
  const { type, properties, items, ...rest } = column;
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  const isText = (container: string, setting: string | undefined): boolean =>
    types.includes(container) && setting === "string";
  const [hasTextArrays, hasTextDocuments] = [isText("array", settings.arrays), isText("object", settings.documents)];
  if (hasTextArrays || hasTextDocuments) return { ...rest, type: [...new Set([...types, "string"])] };
  return {
    ...column,
    ...(properties === undefined ? {} : { properties: mapped(properties as Properties, settings) }),
    ...(items === undefined ? {} : { items: asWritten(items as Schema, settings) }),
  };
}

function mapped(properties: Properties, settings: ValueSettings): Properties {
  return Object.fromEntries(Object.entries(properties).map(([name, column]) => [name, asWritten(column, settings)]));
}
