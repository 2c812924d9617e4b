/** The arguments that a platform gives to its connector. It may add some that only other connectors know. */

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

import { MongotapError } from "../errors.ts";
import { didYouMean } from "../lib/did-you-mean.ts";

export interface ConnectorArguments {
  /** By option, its last value. */
  readonly values: Readonly<Record<string, string>>;
  readonly switches: ReadonlySet<string>;
  readonly words: readonly string[];
  /** Warnings about arguments that have no effect. */
  readonly notes: readonly string[];
}

/**
 * Reads the arguments of `connector`, which takes `options` and at most `mostWords` words.
 * @throws MongotapError `usage` for an option without its value
 */
export function readArguments(
  connector: string,
  argv: readonly string[],
  { options, mostWords }: { readonly options: ParseArgsOptionsConfig; readonly mostWords: number },
): ConnectorArguments {
  const { tokens } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: false, tokens: true });
  const values: Record<string, string> = {};
  const switches = new Set<string>();
  const words: string[] = [];
  const notes: string[] = [];
  let unknownAt: number | undefined;
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (words.length < mostWords) words.push(token.value);
      // Else it may be the value of the unknown option before it.
      else if (unknownAt !== token.index - 1)
        notes.push(`${shownWord(token.value)} is not an argument of ${connector}: it has no effect`);
    }
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const option = options[name];
    if (option === undefined) {
      unknownAt = value === undefined ? token.index : undefined;
      const near = rawName.startsWith("--") ? didYouMean(name, Object.keys(options)) : undefined;
      const advice = near === undefined ? "" : `; did you mean --${near}?`;
      notes.push(`${shownOption(rawName)} is not an option of ${connector}: it has no effect${advice}`);
    } else if (option.type === "boolean") switches.add(name);
    else if (value === undefined) throw needs(connector, rawName);
    else values[name] = value;
  }
  return { values, switches, words, notes };
}

function needs(connector: string, option: string): MongotapError {
  return new MongotapError("usage", `${option} needs a value`, { hint: helpOf(connector) });
}

/** The hint of errors in arguments. */
export function helpOf(connector: string): string {
  return `\`mongotap ${connector} --help\` shows its options.`;
}

function shownOption(rawName: string): string {
  return /^--?[a-z][\w-]{0,40}$/i.test(rawName) ? rawName : "an argument that begins with a dash";
}

/** A word that looks like one; anything else may be a secret. */
function shownWord(word: string): string {
  return /^[a-z][\w-]{0,30}$/i.test(word) ? JSON.stringify(word) : "a word";
}
