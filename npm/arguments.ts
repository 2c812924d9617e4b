/** Checks what callers of `mongotap/testing` pass: JavaScript has no types, and a mistyped option would count for nothing. */

/** Returns what the value must be, or undefined if it is that. */
type Rule = (value: unknown) => string | undefined;

/** @throws TypeError for an option that does not exist; RangeError for a value that it cannot have */
export function checkOptions(call: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`${call}: the options must be an object`);
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      const all = Object.keys(rules).join(", ");
      throw new TypeError(`${call}: there is no option ${JSON.stringify(name)}, only ${all}`);
    }
    const expected = value === undefined ? undefined : rule(value);
    if (expected !== undefined) throw new RangeError(`${call}: ${name} must be ${expected}`);
  }
}

export function oneOf(...values: readonly (string | number)[]): Rule {
  const texts = values.map((value) => JSON.stringify(value));
  const expected = `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
  return (value) => (values.some((one) => one === value) ? undefined : expected);
}

export const listOfTexts: Rule = (value) =>
  Array.isArray(value) && value.every(isText) ? undefined : "a list of texts";

export const text: Rule = (value) => (isText(value) ? undefined : "a text");

export function wholeNumber(min: number, max: number): Rule {
  return (value) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `a whole number from ${min} to ${max}`;
}

export const textsByName: Rule = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isText)
    ? undefined
    : "an object with texts";

export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
