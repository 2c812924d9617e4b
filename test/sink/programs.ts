/** The three ways in which one script of these tests runs: under Bun, as a compiled binary, under Deno. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");
/** What a sink starts by itself. */
const THREAD = join(ROOT, "src/sink/write-behind-thread.ts");

export interface Program {
  readonly name: "bun" | "binary" | "deno";
  readonly command: string;
  /** Comes before the arguments of the script. */
  readonly args: readonly string[];
}

/** Compiles `script` and tells how to run it in each way; dispose to remove the binary. Run with `ROOT` as cwd. */
export function programsOf(script: string): Disposable & { readonly all: readonly Program[] } {
  const folder = mkdtempSync(join(tmpdir(), "mongotap-program-"));
  const binary = join(folder, basename(script, ".ts"));
  const flags = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig", "--entry-naming", "[name].[ext]"];
  const built = spawnSync(process.execPath, ["build", "--compile", ...flags, script, THREAD, "--outfile", binary], {
    cwd: ROOT,
  });
  if (built.status !== 0) throw new Error(`cannot compile ${script}: ${built.stderr.toString()}`);
  return {
    all: [
      { name: "bun", command: process.execPath, args: [script] },
      { name: "binary", command: binary, args: [] },
      { name: "deno", command: join(ROOT, "node_modules/.bin/deno"), args: ["run", "-A", script] },
    ],
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
