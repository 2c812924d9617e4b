/** Reads the files of a configuration, and checks whether a file may hold secrets. */

import type { Stats } from "node:fs";
import { lstat, open, stat } from "node:fs/promises";
import { platform } from "node:os";
import { dirname } from "node:path";

import { MongotapError } from "../errors.ts";
import { ownUid } from "../lib/process.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";

export interface FileContent {
  readonly text: string;
  /** Why other users could read or replace the file, and the remedy; undefined if it may hold secrets. */
  readonly exposure: string | undefined;
  /** The path is a symbolic link. */
  readonly isLink: boolean;
}

/**
 * Reads a regular file or a pipe (`--config <(command)`). `what` names it in messages, such as `--config flow.yaml`.
 * @throws MongotapError `config` when it cannot be read or is not UTF-8
 */
export async function readConfigFile(path: string, what: string): Promise<FileContent> {
  try {
    const isLink = (await lstat(path)).isSymbolicLink();
    const handle = await open(path, "r");
    try {
      const stats = await handle.stat();
      if (stats.isDirectory()) throw new MongotapError("config", `${what} is a folder, not a file`);
      if (!stats.isFile() && !stats.isFIFO()) throw new MongotapError("config", `${what} is not a regular file`);
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await handle.readFile());
      const exposure = stats.isFIFO() ? undefined : await reasonForExposure(path, stats);
      return { text, exposure, isLink: isLink && stats.isFile() };
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
 * Reads a file that holds a single secret, and removes the line end after it. The path may be a symbolic link, as secrets
 * that are mounted into containers are; the permissions of the target count.
 * @throws MongotapError `config`, also when other users can read or replace the file
 */
export async function readSecretFile(path: string, what: string): Promise<string> {
  const { text, exposure } = await readConfigFile(path, what);
  if (exposure !== undefined) throw new MongotapError("config", `${what} ${exposure}`);
  return text.replace(/\r?\n$/, "");
}

async function reasonForExposure(path: string, stats: Stats): Promise<string | undefined> {
  if (platform() === "win32") return undefined; // Windows has no such modes and owners.
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
