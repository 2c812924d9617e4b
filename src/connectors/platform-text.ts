/**
 * Messages and hints name settings as flags of the command line. Users of a platform know the keys of its config, and begin
 * again in the platform.
 */

import * as v from "valibot";

import { OPTIONS } from "../config/options.ts";
import type { OptionRow } from "../config/setting.ts";
import { MongotapError } from "../errors.ts";
import type { Logger } from "../observe/log.ts";

/** The flags that platforms use themselves. */
const THEIRS: ReadonlySet<string> = new Set(["config", "state"]);
/** By its flag: the key of a setting, and what its values are; undefined for a switch. */
const KEYS = new Map<string, { readonly key: string; readonly schema: OptionRow["schema"] | undefined }>(
  Object.entries(OPTIONS)
    .filter(([key]) => !THEIRS.has(key))
    .map(([key, { flag, schema, ...row }]: [string, OptionRow]) => [
      flag,
      { key: key === "ssh" ? "networkTunnel" : key, schema: row.value === undefined ? undefined : schema },
    ]),
);

/** What a connector cannot do, and what would be said twice. */
const OUT_OF_PLACE = [
  ", or --full-document none as well",
  "Restore the state file or the output, or ",
  ", MONGOTAP_USER or `user` in the config file",
  " or quarantine=FILE",
  " --accept-change",
  " `backfill` works as it is.",
  "; backfill works as it is",
  " and networkTunnel",
] as const;

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
      });
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
  const shown = (words: string): string => text(linesShown(words, log));
  return new MongotapError(kind, shown(message), { hint: shown(hint), cause, retryAfterMs });
}

/** `text` as `log` shows it, with its lines. */
export function linesShown(text: string, log: Logger): string {
  return text
    .split("\n")
    .map((line) => log.shown(line))
    .join("\n");
}
