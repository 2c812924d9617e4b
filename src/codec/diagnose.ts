/** Why a document could not be written, and where: a second walk, after the first one has given up. */

import { MongotapError } from "../errors.ts";
import { elementTypes, isMixed } from "./arrays.ts";
import { BSON, corrupt, documentEnd, nameEnd, nameOfType, readInt32, valueLength } from "./bson.ts";
import { isUtf8 } from "./text.ts";

/** What is an error beyond the layout of BSON. */
export interface DiagnosisRules {
  /** Invalid UTF-8 is an error. */
  readonly strict: boolean;
  /** Elements of one array must be of one type, unless the array is inside something that becomes a string. */
  readonly oneType: boolean;
  /** Nested documents become strings. */
  readonly documentsAsStrings: boolean;
}

/** An open container on the way to the flaw. */
interface Step {
  readonly isArray: boolean;
  /** Where its NUL is. */
  readonly end: number;
  /** Whether it, or what it is in, becomes a string. */
  readonly isInString: boolean;
  /** The element that is being looked at: its name, and its number in an array. */
  nameBegin: number;
  nameEnd: number;
  index: number;
}

/** Characters of a path or an _id in a message. */
const SHOWN = 200;
const MIXED_HINT = "Use --arrays string, or leave --arrays out.";
const STRICT_HINT =
  "Repair the document in the source, or run without --strict: the bytes are then replaced by U+FFFD.";

/** The error for the document at `at`; undefined if nothing is wrong with it. `idOf` tells its _id, or nothing. */
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

/** The error for the single value of `type` at `at` … `end`; undefined if nothing is wrong with it. */
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

/** Where the elements of the container value at `at` begin. */
export function firstElement(bytes: Uint8Array, type: number, at: number): number {
  return type === BSON.codeWithScope ? at + 8 + readInt32(bytes, at + 4) + 4 : at + 4;
}

/** Looks at all elements from `begin` on, up to the end of the outermost step; throws at the first flaw. */
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
  /** Where the document begins. */
  readonly origin: number;
}

/** Throws if the value is wrong; returns the step into it if it is a container. */
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
  // An array that is corrupt is found out when its elements are looked at.
  let isWrong = false;
  try {
    isWrong = isMixed(bytes, at);
  } catch {
    return;
  }
  if (!isWrong) return;
  const types = elementTypes(bytes, at).map(nameOfType).join(", ");
  throw new MongotapError("data", `array at byte ${at - origin} with elements of different types: ${types}`, {
    hint: MIXED_HINT,
  });
}

/** The error with the path to it, and with the _id of its document, as far as they can be told. */
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
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

function nameAt(bytes: Uint8Array, step: Step): string {
  return new TextDecoder().decode(bytes.subarray(step.nameBegin, Math.min(step.nameEnd, step.nameBegin + SHOWN)));
}

/** A JSON string without anything that a terminal or a log could take for more than text. */
function printable(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
