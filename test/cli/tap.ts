/** The program with a server to talk to, and its lines as values. */
import { readFile } from "node:fs/promises";
import { type CliOptions, type CliResult, run, type RunningCli, start, type StartOptions } from "../support/cli.ts";

/** One line of output: the members of the document, and what the envelope says of it. */
export interface Line {
  readonly [name: string]: unknown;
  readonly _id?: unknown;
  readonly _meta?: Meta;
}

export interface Meta {
  readonly op: "c" | "u" | "d" | "t";
  readonly source: { readonly db: string; readonly collection: string };
  readonly reason?: string;
  readonly to?: { readonly db: string; readonly collection: string };
  readonly copy?: number;
  readonly snapshot?: true;
  readonly missing?: "deleted" | "unavailable" | "not_requested";
  readonly exact?: false;
  readonly ts_ms: number;
  readonly order: string;
}

export interface Tap {
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** Runs and resolves to the result when the exit code is `code`; rejects with what the program said otherwise. */
  expect(code: number, args: readonly string[], options?: CliOptions): Promise<CliResult>;
  start(args: readonly string[], options?: StartOptions): RunningCli;
}

/** The program, with the server at `uri` in its environment. */
export function tapAt(uri: string): Tap {
  const withUri = <Options extends CliOptions>(options?: Options): Options | CliOptions => ({
    ...options,
    env: { MONGOTAP_URI: uri, ...options?.env },
  });
  return {
    run: (args, options) => run(args, withUri(options)),
    start: (args, options) => start(args, withUri(options)),
    async expect(code, args, options) {
      const result = await run(args, withUri(options));
      if (result.code !== code) {
        const ending = result.code ?? result.signal ?? "nothing";
        throw new Error(`mongotap ${args.join(" ")} ended with ${ending}, not ${code}: ${result.stderr}`);
      }
      return result;
    },
  };
}

/** The lines of NDJSON, parsed. Throws where the last one is torn. */
export function linesOf(text: string): Line[] {
  return textLinesOf(text).map((line) => JSON.parse(line) as Line);
}

/** The lines of a text that ends with a newline (or is empty), without their newlines. */
export function textLinesOf(text: string): string[] {
  if (text === "") return [];
  if (!text.endsWith("\n")) throw new Error(`the last line is torn: ${JSON.stringify(text.slice(-200))}`);
  return text.slice(0, -1).split("\n");
}

export async function linesIn(path: string): Promise<Line[]> {
  return linesOf(await readFile(path, "utf8"));
}

/** The first difference of two lists of lines; undefined if they are equal. (A diff of thousands of lines is unreadable.) */
export function firstDifference(actual: readonly string[], expected: readonly string[]): Difference | undefined {
  const length = Math.max(actual.length, expected.length);
  for (let line = 0; line < length; line += 1) {
    if (actual[line] === expected[line]) continue;
    return { line, actual: actual[line], expected: expected[line], lengths: [actual.length, expected.length] };
  }
  return undefined;
}

interface Difference {
  readonly line: number;
  readonly actual: string | undefined;
  readonly expected: string | undefined;
  readonly lengths: readonly [actual: number, expected: number];
}
