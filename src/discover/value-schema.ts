/** The JSON Schema of values as `backfill` prints them. docs/json.md has an example of each type in each format. */

import type { Format } from "../codec/transcoder.ts";
import { type BsonType, type Field, type ObjectFields, TRAIT } from "./field.ts";

/** A JSON Schema or a part of one. */
export type Schema = Readonly<Record<string, unknown>>;

type JsonType = "null" | "boolean" | "integer" | "number" | "string";

/** A form in which values of a field are printed: a JSON type with `more` keywords, or a wrapper of Extended JSON. */
export type Form = { readonly type: JsonType; readonly more?: Schema } | { readonly wrapper: WrapperName };

const ANY_STRING: Schema = { type: "string" };
const HEX_OBJECT_ID: Schema = { pattern: "^[0-9a-f]{24}$" };
const NUMBER_LONG: Schema = wrapper("$numberLong", { type: "string", pattern: "^-?[0-9]+$" });

function wrapper(key: string, value: Schema, more: Readonly<Record<string, Schema>> = {}): Schema {
  const properties = { [key]: value, ...more };
  return { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
}

/** By their names in `$defs`. */
const WRAPPERS = {
  objectId: wrapper("$oid", { ...ANY_STRING, ...HEX_OBJECT_ID }),
  date: wrapper("$date", { type: "string", format: "date-time" }),
  dateAsNumber: wrapper("$date", NUMBER_LONG),
  int: wrapper("$numberInt", { type: "string", pattern: "^-?[0-9]+$" }),
  long: NUMBER_LONG,
  double: wrapper("$numberDouble", ANY_STRING),
  decimal: wrapper("$numberDecimal", ANY_STRING),
  binary: wrapper("$binary", wrapper("base64", { type: "string", contentEncoding: "base64" }, { subType: ANY_STRING })),
  timestamp: wrapper("$timestamp", wrapper("t", { type: "integer" }, { i: { type: "integer" } })),
  regularExpression: wrapper("$regularExpression", wrapper("pattern", ANY_STRING, { options: ANY_STRING })),
  dbPointer: wrapper(
    "$dbPointer",
    wrapper("$ref", ANY_STRING, { $id: wrapper("$oid", { ...ANY_STRING, ...HEX_OBJECT_ID }) }),
  ),
  plainDbPointer: wrapper("$dbPointer", wrapper("$ref", ANY_STRING, { $id: { ...ANY_STRING, ...HEX_OBJECT_ID } })),
  code: wrapper("$code", ANY_STRING),
  codeWithScope: wrapper("$code", ANY_STRING, { $scope: { type: "object" } }),
  symbol: wrapper("$symbol", ANY_STRING),
  undefined: wrapper("$undefined", { const: true }),
  minKey: wrapper("$minKey", { const: 1 }),
  maxKey: wrapper("$maxKey", { const: 1 }),
} as const satisfies Record<string, Schema>;

type WrapperName = keyof typeof WRAPPERS;

/** Types with the same wrapper in every format. */
const WRAPPED_ALWAYS: Partial<Record<BsonType, WrapperName>> = {
  undefined: "undefined",
  regex: "regularExpression",
  javascript: "code",
  javascriptWithScope: "codeWithScope",
  symbol: "symbol",
  timestamp: "timestamp",
  minKey: "minKey",
  maxKey: "maxKey",
};

const WRAPPED_IN_RELAXED: Partial<Record<BsonType, WrapperName>> = {
  ...WRAPPED_ALWAYS,
  objectId: "objectId",
  decimal: "decimal",
  binData: "binary",
  uuid: "binary",
  dbPointer: "dbPointer",
};

const WRAPPED_IN_CANONICAL: Partial<Record<BsonType, WrapperName>> = {
  ...WRAPPED_IN_RELAXED,
  int: "int",
  long: "long",
  double: "double",
  date: "dateAsNumber",
};

const WRAPPED_IN_PLAIN: Partial<Record<BsonType, WrapperName>> = { ...WRAPPED_ALWAYS, dbPointer: "plainDbPointer" };

const WRAPPED_BY_FORMAT = {
  relaxed: WRAPPED_IN_RELAXED,
  canonical: WRAPPED_IN_CANONICAL,
  plain: WRAPPED_IN_PLAIN,
} as const;

/** Unwrapped types; those that are missing here are strings. */
const JSON_TYPES: Partial<Record<BsonType, Form>> = {
  null: { type: "null" },
  bool: { type: "boolean" },
  int: { type: "integer" },
  long: { type: "integer" },
  objectId: { type: "string", more: HEX_OBJECT_ID },
  binData: { type: "string", more: { contentEncoding: "base64" } },
  uuid: { type: "string", more: { contentEncoding: "base64" } },
};

/** The forms in which values of `type` are printed; `type` is neither `object` nor `array`. */
export function formsOf(type: BsonType, { traits }: Pick<Field, "traits">, format: Format): readonly Form[] {
  const wrapped = WRAPPED_BY_FORMAT[format][type];
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

/** Makes the schemas of one output and collects the wrappers that they refer to. */
export class SchemaMaker {
  readonly #format: Format;
  readonly #used = new Set<WrapperName>();

  constructor(format: Format) {
    this.#format = format;
  }

  /** The wrappers that the schemas made so far refer to, for `$defs`. */
  definitions(): Schema {
    return Object.fromEntries([...this.#used].toSorted().map((name) => [name, WRAPPERS[name]]));
  }

  /** `{type: object, …}`; fields of every document are required. */
  objectSchema(object: ObjectFields): Schema {
    return { type: "object", ...this.#objectKeywords(object) };
  }

  /** The schema of the types that were sampled; it rejects all others. */
  fieldSchema(field: Field): Schema {
    const forms = [...field.types.keys()].flatMap((type) =>
      type === "object" || type === "array" ? [] : formsOf(type, field, this.#format),
    );
    const wrappers = [...new Set(forms.flatMap((form) => ("wrapper" in form ? [form.wrapper] : [])))].toSorted();
    for (const name of wrappers) this.#used.add(name);
    const json = this.#jsonSchema(field, forms);
    const all = [...(json === undefined ? [] : [json]), ...wrappers.map((name) => ({ $ref: `#/$defs/${name}` }))];
    const [only] = all;
    return all.length === 1 && only !== undefined ? only : { anyOf: all };
  }

  /** One schema for all values without a wrapper: the keywords of objects, arrays and strings do not interfere. */
  #jsonSchema(field: Field, forms: readonly Form[]): Schema | undefined {
    const plain = forms.flatMap((form) => ("type" in form ? [form] : []));
    const types: Set<string> = new Set(plain.map(({ type }) => type));
    if (types.has("number")) types.delete("integer");
    for (const type of ["object", "array"] as const) if (field.types.has(type)) types.add(type);
    if (types.size === 0) return undefined;
    const texts = plain.filter(({ type }) => type === "string");
    const [type] = types;
    return {
      type: types.size === 1 ? type : [...types].toSorted(),
      ...(texts.length === 1 ? texts[0]?.more : {}),
      ...(field.object === undefined ? {} : this.#objectKeywords(field.object)),
      ...(field.items === undefined || field.items.seen.values === 0 ? {} : { items: this.fieldSchema(field.items) }),
    };
  }

  #objectKeywords(object: ObjectFields): Schema {
    const fields = object.list.toSorted((a, b) => compareNames(a.name, b.name));
    const required = fields.filter(({ presentIn }) => presentIn === object.objects).map(({ name }) => name);
    return {
      properties: Object.fromEntries(fields.map((field) => [field.name, this.fieldSchema(field)])),
      ...(required.length === 0 ? {} : { required }),
      ...(object.dynamic === undefined ? {} : { additionalProperties: this.fieldSchema(object.dynamic) }),
    };
  }
}

/** Compares for a sort: `_id` first, the rest by name. The result does not depend on the sample. */
export function compareNames(a: string, b: string): number {
  if (a === "_id" || b === "_id") return a === b ? 0 : a === "_id" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
