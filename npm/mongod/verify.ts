/** Verifies that a program is a mongod, and which version. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A mongod that has been started once. */
export interface Mongod {
  readonly path: string;
  /** What must be added to the environment of the process (library paths). */
  readonly env: Record<string, string>;
  /** From its `--version`, for instance `6.0.5`. */
  readonly version: string;
}

/** Runs `path --version`. Rejects when it does not start or is something else. */
export async function verify(path: string): Promise<Mongod> {
  return await verifyWith(path, {});
}

/** The same for a fetched one: `…/bin/mongod`, with its own libraries in `…/lib`. */
export async function verifyFetched(path: string): Promise<Mongod> {
  const libraries = join(dirname(dirname(path)), "lib");
  if (!(await exists(libraries))) return await verify(path);
  const inherited = process.env["LD_LIBRARY_PATH"];
  return await verifyWith(path, { LD_LIBRARY_PATH: inherited ? `${libraries}${delimiter}${inherited}` : libraries });
}

async function verifyWith(path: string, env: Record<string, string>): Promise<Mongod> {
  const { stdout } = await run(path, ["--version"], { env: { ...process.env, ...env }, timeout: 20_000 });
  const version = /db version v(\S+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error("its --version is not that of a mongod");
  return { path, env, version };
}

/** Whether `path` exists (and, with `constants.X_OK`, is executable). */
export async function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}

/** The first line of standard error, or else of the message. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stderr = "stderr" in error ? String(error.stderr).trim() : "";
  return (stderr || error.message).split("\n")[0] ?? "";
}
