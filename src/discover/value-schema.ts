/** From what is known of a field to the JSON Schema of what `backfill` prints of it. */

import type { Format } from "../codec/transcoder.ts";
import type { Field, ObjectFields } from "./field.ts";
import { type Form, formsOf, type Schema, type WrapperName, wrapperSchema } from "./wrappers.ts";

/** Makes the schemas of one output; remembers which wrappers they refer to. */
export class SchemaMaker {
  readonly #format: Format;
  readonly #used = new Set<WrapperName>();

  constructor(format: Format) {
    this.#format = format;
  }

  /** The definitions that the schemas made so far refer to, for `$defs`. */
  definitions(): Schema {
    return Object.fromEntries([...this.#used].toSorted().map((name) => [name, wrapperSchema(name)]));
  }

  /** `{type: object, …}`: what is in every document is required. */
  objectSchema(object: ObjectFields): Schema {
    return { type: "object", ...this.#objectKeywords(object) };
  }

  /** Allows the types that were seen, and no others. */
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

  /** All that is no wrapper, as one schema: keywords for objects, arrays and strings do not get into each other's way. */
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
    const fields = object.order.toSorted((a, b) => compareNames(a.name, b.name));
    const required = fields.filter(({ presentIn }) => presentIn === object.objects).map(({ name }) => name);
    return {
      properties: Object.fromEntries(fields.map((field) => [field.name, this.fieldSchema(field)])),
      ...(required.length === 0 ? {} : { required }),
      ...(object.others === undefined ? {} : { additionalProperties: this.fieldSchema(object.others) }),
    };
  }
}

/** `_id` first, the rest by name: the same order whatever documents were sampled. */
export function compareNames(a: string, b: string): number {
  if (a === "_id" || b === "_id") return a === b ? 0 : a === "_id" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
