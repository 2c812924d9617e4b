/** Config files for tests: written into a folder of their own, and resolved as a command would. */

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { COMMANDS } from "../../src/cli.ts";
import type { CommandRow } from "../../src/commands/command.ts";
import { resolveRun, type ResolvedRun, type TypedFlags } from "../../src/config/resolve.ts";
import { MongotapError } from "../../src/errors.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

export interface Config extends AsyncDisposable {
  /** Of the first file. */
  readonly path: string;
  readonly dir: TempDir;
  resolve(how?: How): Promise<ResolvedRun>;
  /** The error with which it is refused. */
  refused(how?: How): Promise<MongotapError>;
}

export interface How {
  readonly command?: string;
  readonly flags?: TypedFlags;
  readonly env?: Readonly<Record<string, string>>;
  readonly namespaces?: readonly string[];
}

const ROWS: Readonly<Record<string, CommandRow>> = COMMANDS;

/** A config in `flow.yaml`, and `more` files beside it, all readable by their owner only. */
export async function configOf(text: string, more: Readonly<Record<string, string>> = {}): Promise<Config> {
  const dir = await tempDir();
  for (const [name, content] of Object.entries({ "flow.yaml": text, ...more })) {
    await mkdir(dirname(dir.join(name)), { recursive: true });
    await writeFile(dir.join(name), content);
    await chmod(dir.join(name), 0o600);
  }
  const path = dir.join("flow.yaml");
  const resolve: Config["resolve"] = ({ command = "capture", flags = {}, env = {}, namespaces = [] } = {}) =>
    resolveRun({
      command,
      options: ROWS[command]?.options ?? [],
      flags: { config: path, ...flags },
      env: { PATH: "/nowhere", HOME: "/nowhere", ...env },
      namespaces,
    });
  return {
    path,
    dir,
    resolve,
    async refused(how) {
      const error = await resolve(how).catch((thrown: unknown) => thrown);
      if (error instanceof MongotapError) return error;
      throw new Error(`not refused: ${error instanceof Error ? error.stack : JSON.stringify(error)}`);
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}
