/** Runs the program under test as a black box. A test fails if its output contains the secret. */
import { type ChildProcess, spawn } from "node:child_process";
import { guardProcess } from "../../npm/mongod/watchdog.ts";
import { commandUnderTest } from "./command.ts";
import { Output } from "./output.ts";

/**
 * The secret that must never be printed: use it as a password, a key, a passphrase. Only letters, digits and hyphens, so
 * that it looks the same in a URI, in JSON and in a shell.
 */
export const CANARY = "canary-S3cr3t-b7d1f0a94c";

export interface CliOptions {
  /** What the program reads from stdin; default: nothing (`/dev/null`). */
  readonly stdin?: string | Uint8Array;
  /** Added to the environment, which is that of the test without any `MONGOTAP…`; `undefined` removes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** After this the program is killed and the test fails. Default: 30 s for `run()`, none for `start()`. */
  readonly timeoutMs?: number;
  /** Do not look for the secret in the output: for documents that hold it on purpose. */
  readonly allowCanary?: boolean;
}

export interface StartOptions extends CliOptions {
  /** Where stdout goes: to this test (default), nowhere, or into an open file. */
  readonly stdout?: "pipe" | "ignore" | number;
  /** Leave stdin open for `write()` and `endStdin()`. */
  readonly openStdin?: boolean;
  /** Do not read stdout until `resumeStdout()`: a consumer that has stopped reading. */
  readonly paused?: boolean;
}

export interface CliResult {
  /** `null` when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** The same as bytes, for output that is not text. */
  readonly stdoutBytes: Uint8Array;
  readonly stderr: string;
  readonly ms: number;
}

/** Resolves when the program has ended, with whatever code. */
export async function run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  await using cli = start(args, { timeoutMs: 30_000, ...options });
  return await cli.done;
}

export interface RunningCli extends AsyncDisposable {
  readonly pid: number;
  /** The lines of stdout from the first to the last, as they come. May be iterated more than once. */
  readonly lines: AsyncIterable<string>;
  /** The output so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves with the first line of stdout that fits, past or future; rejects when the program ends without one. */
  waitForLine(fits: (line: string) => boolean, timeoutMs?: number): Promise<string>;
  /** The same for stderr. */
  waitForStderr(fits: (line: string) => boolean, timeoutMs?: number): Promise<string>;
  kill(signal?: NodeJS.Signals): void;
  /** Writes to stdin, which `openStdin` has left open. */
  write(text: string): void;
  endStdin(): void;
  pauseStdout(): void;
  resumeStdout(): void;
  /** Closes our end of the pipe, as `| head -1` does. */
  closeStdout(): void;
  /** Resolves when the program has ended and its output is read; rejects on a timeout and when the secret was printed. */
  readonly done: Promise<CliResult>;
}

/** Starts the program. `await using` kills it at the end of the block if it still runs. */
export function start(args: readonly string[], options: StartOptions = {}): RunningCli {
  const command = commandUnderTest();
  const startedAt = performance.now();
  const child = spawn(command.program, [...command.args, ...args], {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: [
      options.stdin === undefined && options.openStdin !== true ? "ignore" : "pipe",
      options.stdout ?? "pipe",
      "pipe",
    ],
  });
  const { pid } = child;
  child.on("error", () => undefined);
  if (pid === undefined) throw new Error(`cannot start ${command.program}: does MONGOTAP name the program under test?`);
  const release = guardProcess(pid);
  // A program may end without reading its input.
  child.stdin?.on("error", () => undefined);
  if (options.openStdin !== true) child.stdin?.end(options.stdin);

  const stdout = new Output();
  const stderr = new Output();
  let isReading = false;
  const readStdout = (): void => {
    if (child.stdout === null) stdout.end();
    else if (!isReading) stdout.readFrom(child.stdout);
    isReading = true;
    child.stdout?.resume();
  };
  if (options.paused !== true) readStdout();
  if (child.stderr !== null) stderr.readFrom(child.stderr);
  // When the program has ended, the rest of the pipe is read even if stdout is paused.
  child.once("exit", readStdout);

  const done = endOf(child, options.timeoutMs).then(({ timedOut, ...end }): CliResult => {
    release();
    const what = `mongotap ${args.join(" ")}`;
    if (timedOut) throw new Error(`${what}: killed after ${options.timeoutMs} ms. ${tail(stdout, stderr)}`);
    if (options.allowCanary !== true) assertNoCanary(what, { stdout, stderr });
    const ms = Math.round(end.at - startedAt);
    return { ...end, ms, stdout: stdout.text, stdoutBytes: stdout.bytes, stderr: stderr.text };
  });

  const waitIn = async (output: Output, fits: (line: string) => boolean, timeoutMs = 15_000): Promise<string> => {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<"timeout">((resolve) => (timer = setTimeout(() => resolve("timeout"), timeoutMs)));
    const line = await Promise.race([output.findLine(fits).then((found) => ({ found })), timeout]);
    clearTimeout(timer);
    if (line === "timeout") throw new Error(`no such line in ${timeoutMs} ms. ${tail(stdout, stderr)}`);
    if (line.found === undefined) throw new Error(`the program ended without such a line. ${tail(stdout, stderr)}`);
    return line.found;
  };
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  let isWatched = false;
  const kill = (signal: NodeJS.Signals = "SIGTERM"): void => {
    if (!hasEnded()) process.kill(pid, signal);
  };
  return {
    pid,
    kill,
    get done() {
      isWatched = true;
      return done;
    },
    lines: { [Symbol.asyncIterator]: () => stdout.lines() },
    get stdout() {
      return stdout.text;
    },
    get stderr() {
      return stderr.text;
    },
    waitForLine: (fits, timeoutMs) => waitIn(stdout, fits, timeoutMs),
    waitForStderr: (fits, timeoutMs) => waitIn(stderr, fits, timeoutMs),
    write: (text) => void child.stdin?.write(text),
    endStdin: () => void child.stdin?.end(),
    pauseStdout: () => void child.stdout?.pause(),
    resumeStdout: readStdout,
    closeStdout: () => void child.stdout?.destroy(),
    async [Symbol.asyncDispose]() {
      kill("SIGKILL");
      // A failure that the test has seen is not reported a second time.
      await (isWatched ? done.catch(() => undefined) : done);
    },
  };
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly at: number;
  readonly timedOut: boolean;
}

/** Resolves when the process has ended and its output is read; kills it after `timeoutMs`. */
async function endOf(child: ChildProcess, timeoutMs: number | undefined): Promise<End> {
  let timedOut = false;
  const expire = (): void => {
    timedOut = true;
    child.kill("SIGKILL");
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
  let at = 0;
  child.once("exit", () => (at = performance.now()));
  return await new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, at, timedOut });
    });
  });
}

/** The environment of the test, without the variables of the suite and those that change the output. */
function environment(changes: CliOptions["env"] = {}): Record<string, string> {
  const isOurs = (name: string): boolean =>
    name.startsWith("MONGOTAP") || name === "NODE_ENV" || name === "FORCE_COLOR";
  const inherited = Object.entries(process.env).filter(([name]) => !isOurs(name));
  const all = [...inherited, ...Object.entries(changes)];
  const values = new Map(all);
  return Object.fromEntries([...values].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function assertNoCanary(what: string, outputs: Readonly<Record<string, Output>>): void {
  for (const [name, output] of Object.entries(outputs)) {
    const at = output.bytes.indexOf(CANARY);
    if (at === -1) continue;
    const around = output.bytes.toString("utf8", Math.max(0, at - 200), at + CANARY.length + 100);
    throw new Error(`${what} printed the secret on its ${name}: …${around}…`);
  }
}

function tail(stdout: Output, stderr: Output): string {
  return `stdout ends with: ${JSON.stringify(stdout.text.slice(-500))}, stderr with: ${JSON.stringify(stderr.text.slice(-1500))}`;
}
