/** How the values that JSON has no type for look in the output, as JSON Schema. docs/json.md has an example of each. */

import type { Format } from "../codec/transcoder.ts";
import { type BsonType, type Field, TRAIT } from "./field.ts";

export type Schema = Readonly<Record<string, unknown>>;

type JsonType = "null" | "boolean" | "integer" | "number" | "string";

/** One form in which values of a field are printed: plain JSON, maybe narrower than its type says, or a wrapper. */
export type Form = { readonly type: JsonType; readonly more?: Schema } | { readonly wrapper: WrapperName };

const TEXT: Schema = { type: "string" };
const HEX_ID: Schema = { pattern: "^[0-9a-f]{24}$" };
const LONG: Schema = wrapper("$numberLong", { type: "string", pattern: "^-?[0-9]+$" });

function wrapper(key: string, value: Schema, more: Readonly<Record<string, Schema>> = {}): Schema {
  const properties = { [key]: value, ...more };
  return { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
}

/** By the name that stands for them in `$defs`. */
const WRAPPERS = {
  objectId: wrapper("$oid", { ...TEXT, ...HEX_ID }),
  date: wrapper("$date", { type: "string", format: "date-time" }),
  dateAsNumber: wrapper("$date", LONG),
  int: wrapper("$numberInt", { type: "string", pattern: "^-?[0-9]+$" }),
  long: LONG,
  double: wrapper("$numberDouble", TEXT),
  decimal: wrapper("$numberDecimal", TEXT),
  binary: wrapper("$binary", wrapper("base64", { type: "string", contentEncoding: "base64" }, { subType: TEXT })),
  timestamp: wrapper("$timestamp", wrapper("t", { type: "integer" }, { i: { type: "integer" } })),
  regularExpression: wrapper("$regularExpression", wrapper("pattern", TEXT, { options: TEXT })),
  dbPointer: wrapper("$dbPointer", wrapper("$ref", TEXT, { $id: wrapper("$oid", { ...TEXT, ...HEX_ID }) })),
  plainDbPointer: wrapper("$dbPointer", wrapper("$ref", TEXT, { $id: { ...TEXT, ...HEX_ID } })),
  code: wrapper("$code", TEXT),
  codeWithScope: wrapper("$code", TEXT, { $scope: { type: "object" } }),
  symbol: wrapper("$symbol", TEXT),
  undefined: wrapper("$undefined", { const: true }),
  minKey: wrapper("$minKey", { const: 1 }),
  maxKey: wrapper("$maxKey", { const: 1 }),
} as const satisfies Record<string, Schema>;

export type WrapperName = keyof typeof WRAPPERS;

export function wrapperSchema(name: WrapperName): Schema {
  return WRAPPERS[name];
}

/** Types that are wrapped in the same way in every format. */
const ALWAYS: Partial<Record<BsonType, WrapperName>> = {
  undefined: "undefined",
  regex: "regularExpression",
  javascript: "code",
  javascriptWithScope: "codeWithScope",
  symbol: "symbol",
  timestamp: "timestamp",
  minKey: "minKey",
  maxKey: "maxKey",
};

const RELAXED: Partial<Record<BsonType, WrapperName>> = {
  ...ALWAYS,
  objectId: "objectId",
  decimal: "decimal",
  binData: "binary",
  uuid: "binary",
  dbPointer: "dbPointer",
};

const CANONICAL: Partial<Record<BsonType, WrapperName>> = {
  ...RELAXED,
  int: "int",
  long: "long",
  double: "double",
  date: "dateAsNumber",
};

const PLAIN: Partial<Record<BsonType, WrapperName>> = { ...ALWAYS, dbPointer: "plainDbPointer" };

const BY_FORMAT = { relaxed: RELAXED, canonical: CANONICAL, plain: PLAIN } as const;

const JSON_TYPES: Partial<Record<BsonType, Form>> = {
  null: { type: "null" },
  bool: { type: "boolean" },
  int: { type: "integer" },
  long: { type: "integer" },
  objectId: { type: "string", more: HEX_ID },
  binData: { type: "string", more: { contentEncoding: "base64" } },
  uuid: { type: "string", more: { contentEncoding: "base64" } },
};

/** The forms of the values of one type; `object` and `array` are none of its business. */
export function formsOf(type: BsonType, { traits }: Pick<Field, "traits">, format: Format): readonly Form[] {
  const wrapped = BY_FORMAT[format][type];
  if (wrapped !== undefined) return [{ wrapper: wrapped }];
  const isPlain = format === "plain";
  const forms: Form[] = [];
  if (type === "double") {
    if ((traits & TRAIT.finite) !== 0) forms.push({ type: "number" });
    if ((traits & TRAIT.notFinite) !== 0) forms.push(isPlain ? { type: "string" } : { wrapper: "double" });
    return forms;
  }
  if (type === "date" && isPlain) {
    return [(traits & TRAIT.oddYear) === 0 ? { type: "string", more: { format: "date-time" } } : { type: "string" }];
  }
  if (type === "date") {
    if ((traits & TRAIT.isoDate) !== 0) forms.push({ wrapper: "date" });
    if ((traits & TRAIT.farDate) !== 0) forms.push({ wrapper: "dateAsNumber" });
    return forms;
  }
  return [JSON_TYPES[type] ?? { type: "string" }];
}
