#!/usr/bin/env node
/** The process: arguments, environment, streams and signals in, exit code out. No other file of src/ touches `process`. */

import { fstatSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import type Tty from "node:tty";

import packageJson from "../package.json" with { type: "json" };
import { END_BY_SIGNAL, runCli } from "./cli.ts";
import { asMongotapError, firstErrorOf } from "./errors.ts";
import { isNullDevice } from "./lib/fs.ts";
import { isSameRequest, type ReceivedSignal, Stop } from "./lib/process.ts";
import { createLogger, type Level, type Logger, PLAIN } from "./observe/log.ts";
import { openStderr } from "./observe/stderr.ts";

/** Of the binary only: scripts/build/bundle.ts defines them. */
declare const MONGOTAP_COMMIT: string | undefined;
declare const MONGOTAP_TARGET: string | undefined;

const stderr = openStderr(stderrStream);
const stop = new AbortController();
let isReplaced = false;
const paint = await paintOf();
let log: Logger = createLog("info", "text");

function createLog(level: Level, format: "text" | "json"): Logger {
  return createLogger({ level, format, paint, write: (line) => stderr.write(line) });
}

/**
 * Loads picocolors for a terminal only: it reads process.stdout, and Bun then makes a pipe non-blocking for all processes
 * that share it.
 */
async function paintOf(): Promise<typeof PLAIN> {
  if (process.env["NO_COLOR"] || terminalOf(2) === undefined) return PLAIN;
  const { default: colors } = await import("picocolors");
  return colors.createColors(process.env["TERM"] !== "dumb");
}

/** Loads `node:tty`, and with it all of the streams, only if `fd` is a terminal. */
function terminalOf(fd: number): typeof Tty | undefined {
  if (!isDevice(fd)) return undefined;
  const tty = process.getBuiltinModule("node:tty");
  return tty.isatty(fd) ? tty : undefined;
}

function isDevice(fd: number): boolean {
  try {
    const found = fstatSync(fd);
    return found.isCharacterDevice() && !isNullDevice(found);
  } catch {
    return false; // closed
  }
}

/** A closed or broken standard error must not end a run. */
function stderrStream(): NodeJS.WriteStream {
  return process.stderr.on("error", () => undefined);
}

/**
 * Hides process.stdout. Bun's `pipe()` reads it, and to read it is to open it, which makes a pipe non-blocking for every
 * process that shares it (docs/decisions/006-hidden-process-stdout.md). It is assigned, because to define or to describe the
 * property opens it as well.
 */
function hideStdout(): void {
  Reflect.set(process, "stdout", undefined);
}

/** The same for process.stderr, which the driver reads. Not called for the help, because streams take 5 MB. */
function replaceStderr(): void {
  if (isReplaced) return;
  isReplaced = true;
  const replacement = stderr.replacement(process.getBuiltinModule("node:stream").Writable);
  if (replacement) Reflect.set(process, "stderr", replacement);
}

/**
 * The signals that the parent process has set to be ignored, as `nohup` does with SIGHUP: a handler would undo that. A bit
 * mask, from /proc on Linux; 0 on other systems.
 */
function ignoredSignals(): bigint {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return BigInt(`0x${mask ?? "0"}`);
  } catch {
    return 0n; // no /proc here
  }
}

let firstSignal: ReceivedSignal | undefined;

/** First signal: finish the batch, save, end. Second signal: end at once; nothing committed is lost. */
function listen(name: "SIGINT" | "SIGTERM" | "SIGHUP"): void {
  process.on(name, () => {
    const number = constants.signals[name];
    const received: ReceivedSignal = { name, at: performance.now() };
    if (firstSignal !== undefined && isSameRequest(firstSignal, received)) return;
    if (firstSignal !== undefined) process.exit(128 + number);
    firstSignal = received;
    stop.abort(new Stop({ kind: "signal", name, number }));
  });
}

/** How long (ms) the signal may take: Deno acts on it in another thread. */
const SIGNAL_MS = 1_000;

/** Ends the process by the signal that has stopped it. */
async function endBySignal(): Promise<void> {
  const reason: unknown = stop.signal.reason;
  if (!(reason instanceof Stop) || reason.reason.kind !== "signal") return;
  const { name, number } = reason.reason;
  process.removeAllListeners(name);
  process.kill(process.pid, name);
  await new Promise((resolve) => setTimeout(resolve, SIGNAL_MS));
  process.exit(128 + number); // the signal is ignored
}

async function main(): Promise<number> {
  try {
    return await runCli({
      argv: process.argv.slice(2),
      calledAs: process.argv0,
      env: process.env,
      context: {
        version: packageJson.version,
        build: describeBuild(),
        pid: process.pid,
        get columns() {
          const tty = terminalOf(1);
          return tty === undefined ? 100 : new tty.WriteStream(1).columns;
        },
        signal: stop.signal,
        stdin: () => process.stdin,
      },
      createLog(settings) {
        replaceStderr();
        log = createLog(settings.logLevel, settings.logFormat);
        return log;
      },
    });
  } catch (error) {
    return exitCodeOf(error);
  }
}

/** `3f2a9c1, linux-x64-musl, Bun 1.4.5`: what `--version` says about this program and what runs it. */
function describeBuild(): string {
  const { bun, deno, node } = process.versions;
  const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node.js ${node}`;
  return typeof MONGOTAP_COMMIT === "undefined"
    ? `from source, ${process.platform}-${process.arch}, ${runtime}`
    : `${MONGOTAP_COMMIT}, ${MONGOTAP_TARGET}, ${runtime}`;
}

function exitCodeOf(thrown: unknown): number {
  const error = firstErrorOf(thrown);
  if (error instanceof Stop) return error.reason.kind === "signal" ? 128 + error.reason.number : 12;
  const known = asMongotapError(error);
  if (known.kind !== "pipe") log.fatal(known);
  return known.exitCode;
}

hideStdout();
const ignored = ignoredSignals();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  if (((ignored >> BigInt(constants.signals[name] - 1)) & 1n) === 0n) listen(name);
}
const exitCode = await main();
await stderr.drain();
if (exitCode === END_BY_SIGNAL) await endBySignal();
process.exit(exitCode);
