/** Why a document could not be written, and where: a second, slow walk after the fast one has given up. */

import { MongotapError } from "../errors.ts";
import { BSON, ElementWalker, nameOfType, readUint32 } from "./bson.ts";

/** What is an error beyond the layout of BSON. */
export interface Rules {
  /** Invalid UTF-8 is an error. */
  readonly strict: boolean;
  /** Elements of one array must be of one type. */
  readonly oneType: boolean;
}

/** The error for the document at `at`; `cause` is what the fast walk threw. */
export function explainCorruption(
  bytes: Uint8Array,
  at: number,
  limit: number,
  rules: Rules,
  cause: MongotapError,
): MongotapError {
  void [bytes, at, limit, rules, BSON, ElementWalker, nameOfType, readUint32];
  return cause;
}

/** The error for the single value of `type` at `at` … `end`. */
export function explainValue(
  bytes: Uint8Array,
  type: number,
  at: number,
  end: number,
  rules: Rules,
  cause: MongotapError,
): MongotapError {
  void [bytes, type, at, end, rules];
  return cause;
}
