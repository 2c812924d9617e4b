/** Reads the files of a configuration, and says why one must not hold what is secret. */

import type { Stats } from "node:fs";
import { lstat, open, stat } from "node:fs/promises";
import { platform } from "node:os";
import { dirname } from "node:path";

import { MongotapError } from "../errors.ts";
import { ownUid } from "../lib/process.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";

export interface ConfigFile {
  readonly text: string;
  /** Why others could read or replace it, and the remedy; undefined where it may hold secrets. */
  readonly objection: string | undefined;
  /** It is reached through a symbolic link. */
  readonly isLink: boolean;
}

/**
 * Reads a regular file or a pipe (`--config <(command)`); `what` is how the user named it, such as `--config flow.yaml`.
 * @throws MongotapError `config` when that is not possible, or when it is not UTF-8
 */
export async function readConfigFile(path: string, what: string): Promise<ConfigFile> {
  try {
    const isLink = (await lstat(path)).isSymbolicLink();
    const handle = await open(path, "r");
    try {
      const stats = await handle.stat();
      if (stats.isDirectory()) throw new MongotapError("config", `${what} is a folder, not a file`);
      if (!stats.isFile() && !stats.isFIFO()) throw new MongotapError("config", `${what} is not a regular file`);
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await handle.readFile());
      const objection = stats.isFIFO() ? undefined : await objectionTo(path, stats);
      return { text, objection, isLink: isLink && stats.isFile() };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof MongotapError) throw error;
    const reason =
      error instanceof TypeError && codeOf(error).startsWith("ERR_ENCODING") ? "not UTF-8" : reasonOf(error);
    throw new MongotapError("config", `${what} cannot be read: ${reason}`, {
      hint: "Check the name and the permissions.",
      cause: error,
    });
  }
}

/**
 * Reads a file that holds nothing but a secret, without the line end behind it. A link to it is fine (that is how
 * secrets are mounted into containers) as long as what it leads to is for our eyes only.
 * @throws MongotapError `config`, also when others can read it
 */
export async function readSecretFile(path: string, what: string): Promise<string> {
  const { text, objection } = await readConfigFile(path, what);
  if (objection !== undefined) throw new MongotapError("config", `${what} ${objection}`);
  return text.replace(/\r?\n$/, "");
}

async function objectionTo(path: string, stats: Stats): Promise<string | undefined> {
  if (platform() === "win32") return undefined; // no such modes and owners there
  const self = ownUid();
  if (self !== undefined && stats.uid !== self && stats.uid !== 0) return `belongs to another user (uid ${stats.uid})`;
  if ((stats.mode & 0o077) !== 0) {
    return `can be read by others (mode ${(stats.mode & 0o777).toString(8).padStart(4, "0")}): chmod 600 ${path}`;
  }
  const folder = dirname(path);
  const { mode } = await stat(folder);
  const isShared = (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
  return isShared ? `can be replaced by others, who may write to its folder: chmod go-w ${folder}` : undefined;
}
