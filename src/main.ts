#!/usr/bin/env node
/** The process: arguments, environment, streams and signals in; exit code out. The only file that touches it. */

import { constants } from "node:os";
import { isatty } from "node:tty";

import colors from "picocolors";

import packageJson from "../package.json" with { type: "json" };
import { runCli } from "./cli.ts";
import { MongotapError } from "./errors.ts";
import { Stop } from "./lib/stop.ts";
import { createLogger, type Level, type Logger } from "./observe/log.ts";

const stop = new AbortController();
let log: Logger = createLog("info", "text");

function createLog(level: Level, format: "text" | "json"): Logger {
  return createLogger({ level, format, colors: isatty(2) && colors.isColorSupported, write: writeToStderr });
}

/** A closed or full standard error must not end a run. */
function writeToStderr(line: string): void {
  process.stderr.write(line, () => undefined);
}

/** First signal: finish the batch, save, end. Second: end at once; nothing committed is lost. */
function listen(name: "SIGINT" | "SIGTERM" | "SIGHUP"): void {
  process.on(name, () => {
    const number = constants.signals[name];
    if (stop.signal.aborted) process.exit(128 + number);
    stop.abort(new Stop({ kind: "signal", name, number }));
  });
}

async function main(): Promise<number> {
  try {
    return await runCli({
      argv: process.argv.slice(2),
      env: process.env,
      world: {
        version: packageJson.version,
        pid: process.pid,
        stdout: () => process.stdout,
        stdoutIsTerminal: isatty(1),
        get columns() {
          return process.stdout.columns ?? 100;
        },
        signal: stop.signal,
      },
      createLog(settings) {
        log = createLog(settings.logLevel, settings.logFormat);
        return log;
      },
    });
  } catch (error) {
    return exitCodeOf(error);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Stop) return error.reason.kind === "signal" ? 128 + error.reason.number : 12;
  const known = error instanceof MongotapError ? error : new MongotapError("bug", error instanceof Error ? error.message : String(error), { cause: error });
  if (known.kind !== "pipe") log.fatal(known);
  return known.exitCode;
}

process.stderr.on("error", () => undefined);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) listen(name);
process.exit(await main());
