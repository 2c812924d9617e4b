/** One capture, tail or backfill into a folder of its own, run again and again as a user would. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from "../../../src/state/checkpoint.ts";
import type { CliOptions, CliResult, RunningCli, StartOptions } from "../../support/cli.ts";
import { tempDir } from "../../support/temp.ts";
import { waitFor } from "../../support/wait.ts";
import { type Line, linesOf, tapAt } from "../../cli/tap.ts";

export interface Trial extends AsyncDisposable {
  /** With output and state. */
  readonly args: readonly string[];
  readonly out: string;
  readonly state: string;
  join(...names: string[]): string;
  /** Runs once, with more arguments; rejects when the exit code is another. */
  expect(code: number, more?: readonly string[], options?: CliOptions): Promise<CliResult>;
  run(more?: readonly string[], options?: CliOptions): Promise<CliResult>;
  start(more?: readonly string[], options?: StartOptions): RunningCli;
  /** The whole lines of the output so far: a line that is still being written is left out. */
  lines(): Promise<Line[]>;
  waitForLines(count: number): Promise<Line[]>;
  saved(): Promise<Checkpoint>;
  waitForSaved(fits: (saved: Checkpoint) => boolean, what: string): Promise<Checkpoint>;
  /** Saves a state as nobody would. */
  forge(change: (saved: Checkpoint) => Checkpoint): Promise<void>;
  /** What must not change when a run is refused: the output's inode and bytes, and what the state says. */
  files(): Promise<unknown>;
}

/** A machine that does other things as well makes a start take seconds. */
const PATIENCE_MS = 45_000;

export const CAUGHT_UP = ["--until", "caught-up"] as const;

/** `args`: command, namespaces and options, without output and state. */
export async function trialOf(uri: string, args: readonly string[]): Promise<Trial> {
  const dir = await tempDir();
  const [out, state] = [dir.join("out.ndjson"), dir.join("state.json")];
  const all = [...args, "--out", out, "--state", state];
  const tap = tapAt(uri);
  const patient = (options?: CliOptions): CliOptions => ({ timeoutMs: PATIENCE_MS, ...options });
  const lines = async (): Promise<Line[]> => {
    // Until a state knows the file it is called so.
    const path = [out, `${out}.partial`].find((name) => existsSync(name));
    const text = path === undefined ? "" : await readFile(path, "utf8").catch(() => "");
    return linesOf(text.slice(0, text.lastIndexOf("\n") + 1));
  };
  const saved = async (): Promise<Checkpoint> => {
    const found = await loadCheckpoint(state, { readOnly: true });
    if (!found) throw new Error("there is no state yet");
    return found;
  };
  return {
    args: all,
    out,
    state,
    join: (...names) => dir.join(...names),
    expect: (code, more = [], options) => tap.expect(code, [...all, ...more], patient(options)),
    run: (more = [], options) => tap.run([...all, ...more], patient(options)),
    start: (more = [], options) => tap.start([...all, ...more], options),
    lines,
    waitForLines: (count) =>
      waitFor(
        async () => {
          const found = await lines();
          return found.length >= count && found;
        },
        { what: `${count} lines`, timeoutMs: PATIENCE_MS },
      ),
    saved,
    waitForSaved: (fits, what) =>
      waitFor(
        async () => {
          const found = existsSync(state) ? await saved() : undefined;
          return found !== undefined && fits(found) && found;
        },
        { what, timeoutMs: PATIENCE_MS },
      ),
    forge: async (change) => saveCheckpoint(state, change(await saved())),
    files: async () => ({
      out: await lookAt(out),
      state: existsSync(state) ? { ...(await saved()), seq: 0 } : undefined,
    }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function lookAt(path: string): Promise<unknown> {
  if (!existsSync(path)) return undefined;
  const { ino, size } = await stat(path, { bigint: true });
  return { ino, size, text: await readFile(path, "utf8") };
}
