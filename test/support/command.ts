/** Which program is under test: the source under Bun or Deno, or the compiled binary, as `MONGOTAP` says. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

/**
 * The program and its first arguments, split as a shell would split `$MONGOTAP` (quotes and backslashes, no variables),
 * with absolute paths, so that a test may run it in any folder. Default: `bun src/main.ts`.
 */
export function commandUnderTest(setting = process.env["MONGOTAP"]): { program: string; args: string[] } {
  const [program, ...args] = splitWords(setting || "bun src/main.ts");
  if (program === undefined) throw new Error("MONGOTAP is set but empty");
  return { program: absolute(program, true), args: args.map((word) => absolute(word, false)) };
}

/** Splits as a POSIX shell does, without expansions. Throws on a quote that is not closed. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  const token = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/gsy;
  let word: string | undefined;
  let end = 0;
  for (const match of line.matchAll(token)) {
    end = match.index + match[0].length;
    const [all, single, double, escaped, plain] = match;
    if (/^\s/.test(all)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + (single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? plain ?? "");
    }
  }
  if (end !== line.length) throw new Error(`an open quote in: ${line}`);
  if (word !== undefined) words.push(word);
  return words;
}

function absolute(word: string, isProgram: boolean): string {
  if (isProgram && !word.includes("/")) {
    // Never whatever PATH holds: the pinned runtimes. (Both are the real programs, so a signal to the pid reaches them.)
    const pinned = join(ROOT, "node_modules/.bin", word);
    return existsSync(pinned) ? pinned : word;
  }
  return !word.startsWith("-") && existsSync(join(ROOT, word)) ? join(ROOT, word) : word;
}
