/**
 * Messages and hints name settings as flags of the command line. Users of a platform know the keys of its config, and begin
 * again in the platform.
 */

import * as v from "valibot";

import { envNameOf, OPTIONS } from "../config/options.ts";
import type { OptionRow } from "../config/setting.ts";
import { MongotapError, POLICY } from "../errors.ts";
import type { Logger } from "../observe/log.ts";
import { CONNECTOR_OPTIONS, SERVER_SETTINGS } from "./connector-options.ts";

/** The flags that platforms use themselves. */
const THEIRS: ReadonlySet<string> = new Set(["config", "state"]);
/** The key of a setting, and what its values are; undefined for a switch. */
interface KnownFlag {
  readonly option: string;
  readonly key: string;
  readonly schema: OptionRow["schema"] | undefined;
}

/** By the flag. */
const KEYS = new Map<string, KnownFlag>(
  Object.entries(OPTIONS)
    .filter(([key]) => !THEIRS.has(key))
    .map(([key, { flag, schema, ...row }]: [string, OptionRow]) => [
      flag,
      { option: key, key: key === "ssh" ? "networkTunnel" : key, schema: row.value === undefined ? undefined : schema },
    ]),
);

/** What a connector cannot do, and what would be said twice. */
const OUT_OF_PLACE = [
  ", or --full-document none as well",
  "Restore the state file or the output, or ",
  ", MONGOTAP_USER or `user` in the config file",
  " or quarantine=FILE",
  " --accept-change",
  "; backfill works as it is",
  " and networkTunnel",
] as const;

/** The settings that some connector takes. */
const OFFERED: ReadonlySet<string> = new Set([
  ...SERVER_SETTINGS,
  ...Object.values(CONNECTOR_OPTIONS).flatMap(({ offered }) => offered),
]);
/** By variable, the key of its setting. */
const VARIABLES = new Map(Object.entries(OPTIONS).map(([key, row]) => [envNameOf(row), key]));
/** A command of the command line; users of a platform have none. */
const COMMAND = /`(?:mongotap (?!airbyte|singer|flow)[^`]+|backfill|tail|capture|discover|check|status|config-schema)`/;
/**
 * A hint of the command line without the alternatives that a platform does not have: commands, and flags of settings that no connector takes.
 * Alternatives are sentences, parts of a sentence behind a semicolon, and parts behind `, or`.
 */
function advice(hint: string): string {
  if (hint === POLICY.config.hint) return ""; // a message in one line has nothing above it
  return hint
    .split(/(?<=\.) /)
    .map(possibleSentence)
    .filter((sentence) => sentence !== "")
    .join(" ");
}

function possibleSentence(sentence: string): string {
  const kept = possibleOf(sentence, "; ", (part) => possibleOf(part, ", or ", (way) => (isPossible(way) ? way : "")));
  if (kept === sentence || kept === "") return kept;
  const ended = sentence.endsWith(".") && !kept.endsWith(".") ? `${kept}.` : kept;
  return ended.slice(0, 1).toUpperCase() + ended.slice(1);
}

function possibleOf(text: string, separator: string, possible: (part: string) => string): string {
  return text
    .split(separator)
    .map(possible)
    .filter((part) => part !== "")
    .join(separator);
}

function isPossible(way: string): boolean {
  if (COMMAND.test(way)) return false;
  const keys = [...way.replace(/start over with --fresh/i, "").matchAll(/--([a-z][a-z-]*[a-z])/g)].map(
    ([, flag = ""]) => KEYS.get(flag)?.option,
  );
  return keys.every((key) => key === undefined || OFFERED.has(key));
}

/** What a connector cannot do that asks for no documents before a change. */
export const WITHOUT_BEFORE = ["ask for less (--before none, or --full-document none as well), or "] as const;

/**
 * Returns a function that says in the words of a platform what is said in those of the command line. `startOver` is how to
 * begin again there: a clause without a capital, and without a full stop. `impossible`: more of what cannot be done there.
 */
export function platformText(startOver: string, impossible: readonly string[] = []): (text: string) => string {
  const capitalized = startOver.slice(0, 1).toUpperCase() + startOver.slice(1);
  return (text) => {
    const kept = [...impossible, ...OUT_OF_PLACE].reduce((left, words) => left.replaceAll(words, ""), text);
    return kept
      .replace(/^[a-z]/, (letter) => (text.startsWith(letter) ? letter : letter.toUpperCase()))
      .replaceAll("start over with --fresh", startOver)
      .replaceAll("Start over with --fresh", capitalized)
      .replaceAll(/--([a-z][a-z-]*[a-z])(?: ([\w-]+))?/g, (all, flag: string, value: string | undefined) => {
        const known = KEYS.get(flag);
        if (known === undefined) return all;
        const { key, schema } = known;
        if (value === undefined) return key;
        const isValue = schema !== undefined && isPick(schema) && v.is(schema, value);
        return `${key}${isValue ? ":" : ""} ${value}`;
      })
      .replaceAll(/MONGOTAP_[A-Z_]+/g, (variable) => VARIABLES.get(variable) ?? variable);
  };
}

/** Whether only certain words are values, so that another word after the flag is none. */
function isPick(schema: OptionRow["schema"]): boolean {
  return !v.is(schema, "no such value");
}

/** A logger that says everything by `text`. Secrets are hidden before: `text` would change what is in them. */
export function loggerIn(text: (message: string) => string, log: Logger): Logger {
  const shown = (message: string): string => text(log.shown(message));
  return {
    ...log,
    error: (message) => log.error(shown(message)),
    warn: (message) => log.warn(shown(message)),
    info: (message, fields) => log.info(shown(message), fields),
    debug: (message) => log.debug(shown(message)),
    fatal: (error) => log.fatal(errorIn(text, error, log)),
    at: (level) => loggerIn(text, log.at(level)),
  };
}

/** The error with its message and its hint in the words of `text`, without the secrets of `log`. */
export function errorIn(text: (message: string) => string, error: MongotapError, log: Logger): MongotapError {
  const { kind, message, hint, cause, retryAfterMs } = error;
  return new MongotapError(kind, text(linesShown(message, log)), {
    hint: hintIn(text, hint, log),
    cause,
    retryAfterMs,
  });
}

/** The hint in the words of `text`, without what is impossible there, and without the secrets of `log`. */
export function hintIn(text: (message: string) => string, hint: string, log: Logger): string {
  return text(advice(linesShown(hint, log)));
}

/** `text` as `log` shows it, with its lines. */
export function linesShown(text: string, log: Logger): string {
  return text
    .split("\n")
    .map((line) => log.shown(line))
    .join("\n");
}
