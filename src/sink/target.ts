/** What stands at the path of an output before it is opened, and whether it may be written to. */

import type { Stats } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "../lib/fs.ts";
import { outputError, outputIs } from "./output-errors.ts";

/** `special`: something that is written to like a pipe; `fifo`: such a one, which may still wait for its reader. */
export type TargetKind = "file" | "directory" | "special" | "fifo";

/**
 * Resolves to what is at `path`, or is going to be there, where `kind` is wanted.
 * @throws MongotapError `output` where it cannot be written to.
 */
export async function inspectTarget(kind: "file" | "directory", path: string): Promise<TargetKind> {
  const named = await statOf(path, false);
  if (named === undefined) {
    if (kind === "file") await expectDirectory(dirname(path), path);
    return kind;
  }
  const isLink = named.isSymbolicLink();
  const found = isLink ? await statOf(path, true) : named;
  if (found === undefined) throw outputIs(path, "is a symbolic link that leads nowhere");
  if (kind === "directory") {
    if (!found.isDirectory()) throw outputIs(path, "is not a directory");
    return kind;
  }
  // `/dev/stdout` and its like are links too; but a link to a file would be replaced by a file, and nobody wants that.
  if (found.isFile() && isLink) throw outputIs(path, "is a symbolic link to a file: name the file itself");
  return found.isFile() ? "file" : specialKindOf(found, path);
}

/** What stands where a file is going to be: nothing, or a regular file. @throws MongotapError `output` otherwise. */
export async function inspectOlder(path: string): Promise<Stats | undefined> {
  const found = await statOf(path, false);
  if (found?.isFile() === false) throw outputIs(path, "exists and is not a regular file");
  return found;
}

function specialKindOf(found: Stats, path: string): "special" | "fifo" {
  if (found.isDirectory()) throw outputIs(path, "is a directory: end it with a slash for one file per collection");
  if (found.isFIFO()) return "fifo";
  if (found.isCharacterDevice()) return "special";
  throw outputIs(path, found.isSocket() ? "is a socket" : "is a block device");
}

async function expectDirectory(directory: string, path: string): Promise<void> {
  const found = await statOf(directory, true);
  if (found === undefined) throw outputIs(path, `cannot be created: the directory ${directory} does not exist`);
  if (!found.isDirectory()) throw outputIs(path, `cannot be created: ${directory} is not a directory`);
}

async function statOf(path: string, follow: boolean): Promise<Stats | undefined> {
  try {
    return await (follow ? stat(path) : lstat(path));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw outputError("write to", path, error);
  }
}
