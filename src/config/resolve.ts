/** Defaults < environment < flags → one frozen object. All faults are reported together, each under the name typed. */

import * as v from "valibot";

import { MongotapError } from "../errors.ts";
import { envNameOf, OPTIONS, type OptionName, type OptionRow, type Settings } from "./options.ts";

/** Flags as parseArgs read them: text for values, true for switches. Keys are flag names. */
export type TypedFlags = Readonly<Record<string, string | boolean | undefined>>;

/**
 * The settings of a command that knows the options `names`; the others keep their defaults.
 * @throws MongotapError `usage` (a flag) or `config` (a variable), naming every faulty setting
 */
export function resolveSettings(
  names: readonly OptionName[],
  flags: TypedFlags,
  env: Readonly<Record<string, string | undefined>>,
): Settings {
  const values: Record<string, unknown> = {};
  const faults: string[] = [];
  let onlyFlags = true;
  for (const [name, row] of Object.entries<OptionRow>(OPTIONS)) {
    const known = names.includes(name as OptionName);
    const typed = known ? typedValue(row, flags, env) : { from: "default", text: row.fallback };
    if (typed.text === undefined) {
      values[name] = row.value === undefined ? false : undefined;
      continue;
    }
    const result = v.safeParse(row.schema, typed.text);
    if (result.success) values[name] = result.output;
    else {
      if (typed.from !== `--${row.flag}`) onlyFlags = false;
      const shown = row.secret === true ? "" : `, not ${JSON.stringify(typed.text)}`;
      faults.push(`${typed.from} ${result.issues[0].message}${shown}`);
    }
  }
  if (faults.length > 0) throw new MongotapError(onlyFlags ? "usage" : "config", faults.join("; "));
  return Object.freeze(values) as Settings;
}

function typedValue(
  row: OptionRow,
  flags: TypedFlags,
  env: Readonly<Record<string, string | undefined>>,
): { from: string; text: string | undefined } {
  const flag = flags[row.flag];
  if (flag !== undefined) return { from: `--${row.flag}`, text: String(flag) };
  const variable = env[envNameOf(row)];
  if (variable !== undefined && variable !== "") return { from: envNameOf(row), text: variable };
  return { from: "default", text: row.fallback };
}
