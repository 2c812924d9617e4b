/** One run of `mongotap tail` as a child process. */
import { spawn } from "node:child_process";
import { type Release, guardProcess } from "./mongod/watchdog.ts";

export interface TailRun {
  /** The program and its first arguments. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly args: readonly string[];
  /** In the environment of the process, because other users of the machine can read arguments. */
  readonly uri: string;
  /** After this (ms) the run is asked to end. */
  readonly timeoutMs: number;
  /** Kills the run at once. */
  readonly signal: AbortSignal;
}

export interface TailEnd {
  /** Every whole line of standard output. */
  readonly lines: readonly string[];
  readonly stderr: string;
  /** `null` if a signal ended it. */
  readonly code: number | null;
  readonly timedOut: boolean;
}

/** A run that is asked to end saves its position within this time, unless the server does not answer. */
const STOP_MS = 5_000;

/** Resolves when the run has ended, with whatever code. Rejects if it cannot be started. */
export async function runTail({ command, args, uri, timeoutMs, signal }: TailRun): Promise<TailEnd> {
  signal.throwIfAborted();
  const [program, ...first] = command;
  const child = spawn(program, [...first, "tail", ...args], {
    env: environment(uri),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const release: Release = child.pid === undefined ? () => undefined : guardProcess(child.pid);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  let timedOut = false;
  let killing: NodeJS.Timeout | undefined;
  const stopping = setTimeout(() => {
    timedOut = true;
    child.kill("SIGTERM");
    killing = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  }, timeoutMs);
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", (error) => reject(new Error(`cannot run ${program}: ${error.message}`, { cause: error })));
      child.once("close", resolve);
    });
    const text = Buffer.concat(stdout).toString("utf8");
    return {
      lines: text.split("\n").slice(0, -1),
      stderr: Buffer.concat(stderr).toString("utf8").trim(),
      code,
      timedOut,
    };
  } finally {
    clearTimeout(stopping);
    clearTimeout(killing);
    signal.removeEventListener("abort", kill);
    release();
  }
}

/** The environment of this process, without variables that change what the run reads or writes. */
function environment(uri: string): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("MONGOTAP_"));
  return { ...Object.fromEntries(inherited), MONGOTAP_URI: uri };
}
