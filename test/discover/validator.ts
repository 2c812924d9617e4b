/** A JSON Schema validator that is not ours, as strict as it can be made. */

import { Ajv, type ErrorObject } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** What is wrong with a value; empty where nothing is. */
export type Check = (value: unknown) => readonly ErrorObject[];

// Names of fields may be those of Object.prototype; a union of types is what a mixed field has.
const OPTIONS = { ownProperties: true, allowUnionTypes: true, strict: true } as const;

/** For the dialect that the schema names: draft 7 or 2020-12. Throws where it is no schema. */
export function checkFor(schema: object): Check {
  const is2020 = "$schema" in schema && String(schema.$schema).includes("2020-12");
  const ajv = is2020 ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS);
  addFormats.default(ajv);
  // Airbyte's own keyword.
  ajv.addKeyword("airbyte_type");
  const validate = ajv.compile(schema);
  return (value) => (validate(value) ? [] : (validate.errors ?? []));
}
