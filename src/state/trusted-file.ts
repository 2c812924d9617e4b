/** Reads a file that decides what a run does: a regular file that only our user can have written. */

import { constants, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import { platform } from "node:os";
import { MongotapError } from "../errors.ts";
import { ownUid } from "../lib/process.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";

/** Fails on a symbolic link, and does not wait for the writer of a FIFO. Windows has neither flag. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Resolves to the text of the file at `path`; `undefined` when there is no such file.
 * @throws the error that `refusal` returns when it is not a regular file, not readable, another user's, or writable by
 *   others
 */
export async function readTrustedFile(
  path: string,
  refusal: (path: string, why: string, cause?: unknown) => MongotapError,
): Promise<string | undefined> {
  try {
    const handle = await open(path, FLAGS);
    try {
      const wrong = validateStats(await handle.stat());
      if (wrong !== undefined) throw refusal(path, wrong);
      return await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof MongotapError) throw error;
    if (codeOf(error) === "ENOENT") return undefined;
    if (codeOf(error) === "ELOOP") throw refusal(path, "it is a symbolic link", error);
    throw refusal(path, reasonOf(error), error);
  }
}

function validateStats(stats: Stats): string | undefined {
  if (stats.isDirectory()) return "it is a directory";
  if (!stats.isFile()) return "it is not a regular file";
  if (platform() === "win32") return undefined; // no such modes and owners there
  const self = ownUid();
  if (self !== undefined && stats.uid !== self) return `it belongs to another user (uid ${stats.uid}, not ${self})`;
  if ((stats.mode & 0o022) !== 0) return "other users may write to it (chmod go-w)";
  return undefined;
}
