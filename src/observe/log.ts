/** Log messages as text or JSON, without secrets and control characters. */

import type { MongotapError } from "../errors.ts";

export const LEVELS = ["error", "warn", "info", "debug"] as const;
export type Level = (typeof LEVELS)[number];

export interface Logger {
  readonly level: Level;
  error(message: string): void;
  warn(message: string): void;
  /** `fields` are more members of a JSON line. */
  info(message: string, fields?: Readonly<Record<string, string>>): void;
  debug(message: string): void;
  /** Logs the error that ends a run, with its hint. */
  fatal(error: MongotapError): void;
  /** Replaces these texts by `***` in all later messages. */
  hide(secrets: readonly string[]): void;
  /** Returns `text` as messages show it: without secrets and control characters. */
  shown(text: string): string;
  /** Returns the same log with another level. */
  at(level: Level): Logger;
}

/** The colors of levels on a terminal; picocolors has this shape. */
export interface Paint {
  readonly red: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly dim: (text: string) => string;
}

export const PLAIN: Paint = { red: String, yellow: String, dim: String };

export interface LogSettings {
  readonly level: Level;
  /** A function makes a line, without its newline, of a level and a message. */
  readonly format: "text" | "json" | ((level: Level, message: string) => string);
  readonly paint: Paint;
  /** Receives one line at a time, with its newline. */
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

/** Returns a logger that never throws, if `settings.write` does not. */
export function createLogger(settings: LogSettings): Logger {
  return loggerOf(settings, []);
}

/** `hidden` is shared by the logs of one process. */
function loggerOf(settings: LogSettings, hidden: string[]): Logger {
  const { paint } = settings;
  const now = settings.now ?? (() => new Date());
  const clean = (text: string): string =>
    printable(hidden.reduce((shown, secret) => shown.replaceAll(secret, "***"), text));

  function say(level: Level, message: string, more: Readonly<Record<string, unknown>> = {}): void {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(settings.level)) return;
    if (typeof settings.format === "function") {
      settings.write(`${settings.format(level, clean(message))}\n`);
      return;
    }
    if (settings.format === "json") {
      settings.write(`${JSON.stringify({ time: now().toISOString(), level, message: clean(message), ...more })}\n`);
      return;
    }
    const shade =
      level === "error" ? paint.red : level === "warn" ? paint.yellow : level === "debug" ? paint.dim : String;
    settings.write(`mongotap: ${shade(clean(message))}\n`);
  }

  return {
    level: settings.level,
    error: (message) => say("error", message),
    warn: (message) => say("warn", message),
    info: (message, fields) => say("info", message, fields),
    debug: (message) => say("debug", message),
    fatal(error) {
      const hint = error.hint === "" ? undefined : clean(error.hint);
      if (settings.format === "json") {
        say("error", error.message, { kind: error.kind, exit: error.exitCode, hint });
        return;
      }
      say("error", error.message);
      if (typeof settings.format === "function") return;
      if (hint !== undefined) settings.write(`${paint.dim(`  ${hint}`)}\n`);
      if (settings.level === "debug" && error.stack !== undefined) settings.write(`${clean(stackOf(error))}\n`);
    },
    hide(secrets) {
      for (const secret of secrets) if (secret.length > 0 && !hidden.includes(secret)) hidden.push(secret);
      hidden.sort((a, b) => b.length - a.length);
    },
    shown: clean,
    at: (level) => loggerOf({ ...settings, level }, hidden),
  };
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}

/** `text` with control and line-separator characters as `\uXXXX`: safe for a terminal, and one line. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
