#!/usr/bin/env node
/** `mongotap` of the npm package: runs the binary of this platform with the same streams, signals and exit code. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { binaryPath } from "./binary.ts";

/** What a shell exits with if it does not find a command. */
const NOT_FOUND = 127;

/** The signals that ask the binary to end. Others end this process alone, or all processes of the terminal. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function fail(message: string): void {
  process.stderr.write(`mongotap: ${message}\n`);
  process.exitCode = NOT_FOUND;
}

/** Never touches `process.stdin` and `process.stdout`, which would change how the pipe behaves for the binary. */
function run(path: string): void {
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  // First the handlers: a signal that ended this process alone would leave the binary behind.
  for (const signal of FORWARDED) process.on(signal, forward);
  const child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
  child.once("error", (error) => fail(`cannot run ${path}: ${error.message}`));
  child.once("exit", (code, signal) => {
    for (const name of FORWARDED) process.off(name, forward);
    process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
    if (signal !== null) process.kill(process.pid, signal);
  });
}

let path: string | undefined;
try {
  path = binaryPath();
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
if (path !== undefined) run(path);
