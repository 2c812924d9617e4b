/** The schemas of columns as the settings of a run write their values. */

import type { Settings } from "../config/options.ts";
import { EVERY_TYPE } from "../discover/streams.ts";

export type Schema = Readonly<Record<string, unknown>>;
export type Properties = Readonly<Record<string, Schema>>;

export type ValueSettings = Pick<Settings, "format" | "documents"> & Partial<Pick<Settings, "arrays">>;

/** Discovery describes values as `format: plain` writes them, and containers as JSON. */
export function asWritten(column: Schema, settings: ValueSettings): Schema {
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
