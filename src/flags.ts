/**
 * Reads the flags and namespaces of a command line, as the table of options describes them. It uses `node:util` parseArgs,
 * because cac turns `00123` into a number and accepts unknown commands (docs/decisions/002-command-line-parsing.md).
 */

import { parseArgs } from "node:util";

import type { CommandRow } from "./commands/command.ts";
import { OPTIONS } from "./config/options.ts";
import type { TypedFlags } from "./config/resolve.ts";
import type { OptionRow } from "./config/setting.ts";
import { MongotapError } from "./errors.ts";
import { didYouMean } from "./lib/did-you-mean.ts";

interface ReadFlags {
  readonly flags: TypedFlags;
  readonly namespaces: readonly string[];
}

/**
 * Reads the arguments after the name of the command.
 * @throws MongotapError `usage`
 */
export function readFlags(command: string, row: CommandRow, argv: readonly string[]): ReadFlags {
  const known = row.options
    .map((name): OptionRow => OPTIONS[name])
    .filter((option) => option.flagless !== true && option.configOnly !== true);
  const options = Object.fromEntries(
    known.map((o) => [o.flag, { type: o.value === undefined ? "boolean" : "string" } as const]),
  );
  const { tokens } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: false, tokens: true });
  const flags: Record<string, string | boolean | readonly string[]> = {};
  const namespaces: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") namespaces.push(token.value);
    if (token.kind !== "option") continue;
    const option = known.find((o) => o.flag === token.name);
    if (!option) throw unknownFlag(command, token.rawName, known);
    const before = flags[option.flag];
    if (before !== undefined && option.repeatable !== true) {
      throw new MongotapError("usage", `--${option.flag} is given twice`);
    }
    if (option.value !== undefined && (token.value === undefined || (!token.inlineValue && isFlagLike(token.value)))) {
      throw new MongotapError("usage", `--${option.flag} takes a value: ${option.value}`);
    }
    const value = token.value ?? true;
    flags[option.flag] =
      option.repeatable === true ? [...(typeof before === "object" ? before : []), String(value)] : value;
  }
  if (row.args === "" && namespaces.length > 0) {
    throw new MongotapError("usage", `${command} takes options only, not ${JSON.stringify(namespaces[0])}`);
  }
  return { flags, namespaces };
}

/** In `--out --state x` the value of `--out` is missing. A lone dash is a value: standard output. */
function isFlagLike(value: string): boolean {
  return value.startsWith("--");
}

function unknownFlag(command: string, typed: string, known: readonly OptionRow[]): MongotapError {
  if (/^--password(=|$)/.test(typed)) {
    return new MongotapError("usage", "there is no --password: others can read command lines", {
      hint: "Use --password-file FILE, or the variable MONGOTAP_PASSWORD.",
    });
  }
  const near = didYouMean(
    typed.replace(/^-+/, ""),
    known.map((o) => o.flag),
  );
  return new MongotapError("usage", `${command} has no option ${typed}`, {
    hint: near === undefined ? `Run \`mongotap ${command} --help\`.` : `Did you mean --${near}?`,
  });
}
