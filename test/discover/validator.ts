/** An independent JSON Schema validator, as strict as possible. */

import { Ajv, type ErrorObject } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** The errors of a value; empty if it is valid. */
export type Check = (value: unknown) => readonly ErrorObject[];

// Fields may have names of Object.prototype; a mixed field has a union of types.
const OPTIONS = { ownProperties: true, allowUnionTypes: true, strict: true } as const;

/** The check for `schema`, in draft 7 or 2020-12 as it declares. Throws if it is not a valid schema. */
export function checkFor(schema: object): Check {
  const is2020 = "$schema" in schema && String(schema.$schema).includes("2020-12");
  const ajv = is2020 ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS);
  addFormats.default(ajv);
  // A keyword of Airbyte, and ours.
  for (const keyword of ["airbyte_type", "x-mongodb-namespace"]) ajv.addKeyword(keyword);
  const validate = ajv.compile(schema);
  return (value) => (validate(value) ? [] : (validate.errors ?? []));
}
