/**
 * What the catalogs for Airbyte, Singer and Flow share: the names of streams, and the schemas of their columns. The schema
 * is draft 7 without references, `anyOf` or closed objects; every column may be null. A value that does not fit ends a
 * whole load in these clients, so a column allows every sampled type. Values look as in `--format plain`.
 */

import { createHash } from "node:crypto";

import { must } from "../errors.ts";
import { type Namespace, nameOf } from "../source/record.ts";
import type { CatalogEntry } from "./catalog.ts";
import { type BsonType, BSON_TYPES, type Field, type ObjectFields } from "./field.ts";
import { compareNames, formsOf, type Schema } from "./value-schema.ts";

/** The differences between clients. */
export interface ColumnRules {
  /** Keywords of a column whose values are all dates. */
  readonly dateTime: Schema;
}

/** Of a column that was always null: its later type is unknown. */
export const EVERY_TYPE = ["null", "array", "boolean", "integer", "number", "object", "string"];
/** Of the key of a collection without a sample: clients reject a key that is a document. */
const EVERY_SCALAR = ["null", "boolean", "integer", "number", "string"];

/** The columns of a collection by name, its key included even without a sample. */
export function columnsOf({ info, sampled }: CatalogEntry, rules: ColumnRules): Record<string, Schema> {
  const columns = sampled === undefined ? {} : propertiesOf(sampled.structure.root, rules);
  return "_id" in columns || !hasKey(info) ? columns : { _id: { type: EVERY_SCALAR }, ...columns };
}

/** The keyword of a schema of a stream that names its collection: `db.collection`. Clients return schemas as they are. */
export const NAMESPACE_KEY = "x-mongodb-namespace";

/** Whether `_id` is unique; in views and time series it need not be. */
export function hasKey({ type }: CatalogEntry["info"]): boolean {
  return type === "collection";
}

function propertiesOf({ list }: ObjectFields, rules: ColumnRules): Record<string, Schema> {
  const fields = list.toSorted((a, b) => compareNames(a.name, b.name));
  return Object.fromEntries(fields.map((field) => [field.name, columnOf(field, rules)]));
}

function columnOf(field: Field, rules: ColumnRules): Schema {
  const { types, object, items } = field;
  const json = new Set([...types.keys()].flatMap((type) => jsonTypesOf(type, field)));
  if (json.has("number")) json.delete("integer");
  return {
    type: json.size === 0 ? EVERY_TYPE : ["null", ...[...json].toSorted()],
    ...(isDateTime(field) ? rules.dateTime : {}),
    ...(object === undefined ? {} : { properties: propertiesOf(object, rules) }),
    ...(items === undefined || items.seen.values === 0 ? {} : { items: columnOf(items, rules) }),
  };
}

function jsonTypesOf(type: BsonType, field: Field): readonly string[] {
  if (type === "object" || type === "array") return [type];
  // A wrapper is an object.
  const names = formsOf(type, field, "plain").map((form) => ("wrapper" in form ? "object" : form.type));
  return names.filter((name) => name !== "null");
}

/** Whether all values are dates within RFC 3339 (years 1 to 9999) or null. */
function isDateTime(field: Field): boolean {
  const [form] = formsOf("date", field, "plain");
  const isDate = BSON_TYPES.every((type) => type === "date" || type === "null" || !field.types.has(type));
  return isDate && field.types.has("date") && form !== undefined && "more" in form;
}

/**
 * A stream name for each of `namespaces`: what `nameFor` returns. Clients lower the case of a name and replace all but
 * ASCII letters and digits by `_`. Of names that would then be one table, the one of which the least is replaced stays as it
 * is, so that a new collection rarely renames an old stream; the others, and names that would be empty, get a digest of the
 * namespace, which is the same in every run.
 */
export function streamNames(
  namespaces: readonly Namespace[],
  nameFor: (namespace: Namespace) => string,
): ReadonlyMap<Namespace, string> {
  const byTable = Map.groupBy(namespaces, (namespace) => clientTableName(nameFor(namespace)));
  const keepers = new Set([...byTable.values()].map(plainestOf));
  return new Map(
    namespaces.map((namespace) => {
      const name = nameFor(namespace);
      const isUsable = keepers.has(namespace) && /[a-z0-9]/.test(clientTableName(name));
      return [namespace, isUsable ? name : `${name}_${digestOf(nameOf(namespace))}`] as const;
    }),
  );
}

function clientTableName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "_");
}

function plainestOf(namespaces: readonly Namespace[]): Namespace {
  const ranked = namespaces.map((namespace) => {
    const text = nameOf(namespace);
    return { namespace, text, replaced: text.replaceAll(/[a-z0-9_]/g, "").length };
  });
  const [first] = ranked.toSorted((a, b) => a.replaced - b.replaced || compareNames(a.text, b.text));
  return must(first, "a namespace").namespace;
}

/** Six digits that tell `name` (`db.collection`) from others; the same in every run. */
export function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 6);
}
