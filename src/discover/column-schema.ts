/**
 * The JSON Schema that Airbyte and Singer clients make tables from: draft 7, every field may be null, types in lists, no
 * references, no `anyOf`, nothing closed. A value that does not fit ends a whole load there, so a type is as wide as
 * anything that was seen. Values look as in `--format plain`.
 */

import type { CatalogEntry } from "./collection.ts";
import { type BsonType, BSON_TYPES, type Field, type ObjectFields } from "./field.ts";
import { compareNames } from "./value-schema.ts";
import { formsOf, type Schema } from "./wrappers.ts";

/** What differs between clients. */
export interface ColumnRules {
  /** Added to what is a point in time and nothing else. */
  readonly moment: Schema;
}

const EVERY_TYPE = ["null", "array", "boolean", "integer", "number", "object", "string"];
/** Of a key that nobody has seen yet: clients want none that is a document. */
const EVERY_SCALAR = ["null", "boolean", "integer", "number", "string"];

/** The columns of a collection; its key always, also where no document was sampled. */
export function columnsOf({ info, sampled }: CatalogEntry, rules: ColumnRules): Record<string, Schema> {
  const columns = sampled === undefined ? {} : propertiesOf(sampled.structure.root, rules);
  return "_id" in columns || !hasKey(info) ? columns : { _id: { type: EVERY_SCALAR }, ...columns };
}

/** Whether `_id` tells one document from all others: nobody promises that of views and time series. */
export function hasKey({ type }: CatalogEntry["info"]): boolean {
  return type === "collection";
}

function propertiesOf({ order }: ObjectFields, rules: ColumnRules): Record<string, Schema> {
  const fields = order.toSorted((a, b) => compareNames(a.name, b.name));
  return Object.fromEntries(fields.map((field) => [field.name, columnOf(field, rules)]));
}

function columnOf(field: Field, rules: ColumnRules): Schema {
  const { types, object, items } = field;
  const json = new Set([...types.keys()].flatMap((type) => jsonTypesOf(type, field)));
  if (json.has("number")) json.delete("integer");
  return {
    // Of what was always null nobody knows what it will be.
    type: json.size === 0 ? EVERY_TYPE : ["null", ...[...json].toSorted()],
    ...(isMoment(field) ? rules.moment : {}),
    ...(object === undefined ? {} : { properties: propertiesOf(object, rules) }),
    ...(items === undefined || items.seen.values === 0 ? {} : { items: columnOf(items, rules) }),
  };
}

function jsonTypesOf(type: BsonType, field: Field): readonly string[] {
  if (type === "object" || type === "array") return [type];
  // What is wrapped is an object for a client.
  const names = formsOf(type, field, "plain").map((form) => ("wrapper" in form ? "object" : form.type));
  return names.filter((name) => name !== "null");
}

/** Whether all values are dates (or null) of the years that RFC 3339 can say. */
function isMoment(field: Field): boolean {
  const [form] = formsOf("date", field, "plain");
  const isDate = BSON_TYPES.every((type) => type === "date" || type === "null" || !field.types.has(type));
  return isDate && field.types.has("date") && form !== undefined && "more" in form;
}
