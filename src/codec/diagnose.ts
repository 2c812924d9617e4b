/** Finds out why a document cannot be carried, and where: a second walk over a document on which the first one failed. */

import { MongotapError } from "../errors.ts";
import {
  BSON,
  corrupt,
  documentEnd,
  elementTypes,
  hasMixedTypes,
  nameEnd,
  nameOfType,
  readInt32,
  valueLength,
} from "./bson.ts";
import { isUtf8 } from "./text.ts";

/** What is an error besides corrupt BSON. */
export interface DiagnosisRules {
  /** Invalid UTF-8 is an error. */
  readonly strict: boolean;
  /** Elements of an array must have one type, unless the array is inside a container that becomes a string. */
  readonly oneType: boolean;
  readonly documentsAsStrings: boolean;
}

/** An open container on the path to the error. */
interface Step {
  readonly isArray: boolean;
  /** Index of its NUL. */
  readonly end: number;
  /** It, or a container around it, becomes a string. */
  readonly isInString: boolean;
  /** The current element: the bounds of its name, and its index from 0. */
  nameBegin: number;
  nameEnd: number;
  index: number;
}

/** Longer paths and _ids are cut in messages. */
const MAX_SHOWN_CHARACTERS = 200;
const MIXED_HINT = "Use --arrays string, or leave --arrays out.";
const STRICT_HINT =
  "Repair the document in the source, or run without --strict: the bytes are then replaced by U+FFFD.";

/**
 * The error for the document at `at`, with the path and the _id in its message; undefined if there is none. `idOf` returns
 * the _id as JSON, or an empty string.
 */
export function diagnoseDocument(
  bytes: Uint8Array,
  at: number,
  limit: number,
  rules: DiagnosisRules,
  idOf: () => string,
): MongotapError | undefined {
  const steps: Step[] = [];
  try {
    const end = documentEnd(bytes, at, Math.min(limit, bytes.length), at);
    steps.push({ isArray: false, end: end - 1, isInString: false, nameBegin: 0, nameEnd: 0, index: -1 });
    inspect(bytes, at, at + 4, rules, steps);
    return undefined;
  } catch (error) {
    return located(error, bytes, steps, idOf());
  }
}

/** The error for the value of `type` at `at` … `end`, with the path in its message; undefined if there is none. */
export function diagnoseValue(
  bytes: Uint8Array,
  type: number,
  range: { at: number; end: number },
  rules: DiagnosisRules,
): MongotapError | undefined {
  const { at, end } = range;
  const steps: Step[] = [];
  try {
    const length = valueLength(bytes, type, at, end, at);
    if (length !== end - at) throw corrupt(`${nameOfType(type)} of ${length} bytes in ${end - at}`, 0);
    const step = inspectValue(bytes, { type, at, end, origin: at }, rules, false);
    if (step !== undefined) {
      steps.push(step);
      inspect(bytes, at, firstElement(bytes, type, at), rules, steps);
    }
    return undefined;
  } catch (error) {
    return located(error, bytes, steps, "");
  }
}

/** Index of the first element of the container at `at`: a document, an array, or the scope of code. */
export function firstElement(bytes: Uint8Array, type: number, at: number): number {
  return type === BSON.codeWithScope ? at + 8 + readInt32(bytes, at + 4) + 4 : at + 4;
}

/** Checks all elements from `begin` to the end of the outermost step; throws at the first error, whose path is `steps`. */
function inspect(bytes: Uint8Array, origin: number, begin: number, rules: DiagnosisRules, steps: Step[]): void {
  let at = begin;
  for (let step = steps.at(-1); step !== undefined; step = steps.at(-1)) {
    if (at === step.end) {
      steps.pop();
      at++;
      continue;
    }
    step.nameBegin = at + 1;
    step.nameEnd = at + 1;
    step.index++;
    step.nameEnd = nameEnd(bytes, at + 1, step.end, origin);
    if (!step.isArray) checkText(bytes, step.nameBegin, step.nameEnd, origin, rules);
    const type = bytes[at] as number;
    at = step.nameEnd + 1;
    const end = at + valueLength(bytes, type, at, step.end, origin);
    const inner = inspectValue(bytes, { type, at, end, origin }, rules, step.isInString);
    if (inner !== undefined) steps.push(inner);
    at = inner === undefined ? end : firstElement(bytes, type, at);
  }
}

interface Value {
  readonly type: number;
  readonly at: number;
  readonly end: number;
  /** The begin of the document. */
  readonly origin: number;
}

/** Checks one value and throws if it is wrong; returns the step into it if it is a container. */
function inspectValue(bytes: Uint8Array, value: Value, rules: DiagnosisRules, isInString: boolean): Step | undefined {
  const { type, at, end, origin } = value;
  switch (type) {
    case BSON.boolean:
      if ((bytes[at] as number) > 1) throw corrupt("boolean that is neither 0 nor 1", at - origin);
      return undefined;
    case BSON.string:
    case BSON.symbol:
    case BSON.code:
      checkText(bytes, at + 4, end - 1, origin, rules);
      return undefined;
    case BSON.dbPointer:
      checkText(bytes, at + 4, end - 13, origin, rules);
      return undefined;
    case BSON.regex: {
      const pattern = nameEnd(bytes, at, end, origin);
      checkText(bytes, at, pattern, origin, rules);
      checkText(bytes, pattern + 1, end - 1, origin, rules);
      return undefined;
    }
    case BSON.codeWithScope:
      checkText(bytes, at + 8, firstElement(bytes, type, at) - 5, origin, rules);
      return { isArray: false, end: end - 1, isInString, nameBegin: 0, nameEnd: 0, index: -1 };
    case BSON.document:
    case BSON.array: {
      const isArray = type === BSON.array;
      if (isArray && rules.oneType && !isInString) checkTypes(bytes, at, origin);
      const becomesString = isInString || (!isArray && rules.documentsAsStrings);
      return { isArray, end: end - 1, isInString: becomesString, nameBegin: 0, nameEnd: 0, index: -1 };
    }
    default:
      return undefined;
  }
}

function checkText(bytes: Uint8Array, begin: number, end: number, origin: number, rules: DiagnosisRules): void {
  if (!rules.strict || isUtf8(bytes, begin, end)) return;
  throw new MongotapError("data", `invalid UTF-8 in the text at byte ${begin - origin}`, { hint: STRICT_HINT });
}

function checkTypes(bytes: Uint8Array, at: number, origin: number): void {
  let isMixed = false;
  try {
    isMixed = hasMixedTypes(bytes, at);
  } catch {
    return; // corrupt: the walk over its elements reports where
  }
  if (!isMixed) return;
  const types = elementTypes(bytes, at).map(nameOfType).join(", ");
  throw new MongotapError("data", `array at byte ${at - origin} with elements of different types: ${types}`, {
    hint: MIXED_HINT,
  });
}

/** `error` with the path and the _id in its message, as far as they are known. Throws anything but a MongotapError. */
function located(error: unknown, bytes: Uint8Array, steps: readonly Step[], id: string): MongotapError {
  if (!(error instanceof MongotapError)) throw error;
  const path = steps.map((step) => (step.isArray ? String(step.index) : nameAt(bytes, step))).join(".");
  const where = [
    ...(path === "" ? [] : [`in ${printable(shortened(path))}`]),
    ...(id === "" ? [] : [`_id ${shortened(id)}`]),
  ];
  const message = where.length === 0 ? error.message : `${error.message} (${where.join(", ")})`;
  return new MongotapError("data", message, { hint: error.hint, cause: error });
}

function shortened(text: string): string {
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
}

function nameAt(bytes: Uint8Array, step: Step): string {
  return new TextDecoder().decode(
    bytes.subarray(step.nameBegin, Math.min(step.nameEnd, step.nameBegin + MAX_SHOWN_CHARACTERS)),
  );
}

/** `text` as a JSON string without control characters or line separators, safe for a terminal and a log. */
function printable(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
