/** What is at the path of an output before it is written to, and the directories around it. */

import { constants, type Stats } from "node:fs";
import { lstat, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, syncDirectory } from "../lib/fs.ts";
import { outputError, unwritable } from "./errors.ts";

/** `special` is written to like a pipe; so is `fifo`, which may still have to wait for its reader. */
export type TargetKind = "file" | "directory" | "special" | "fifo";

/**
 * Resolves to what is at `path`, or is going to be there, where `wanted` is what the user asked for.
 * @throws MongotapError `output` when that cannot be written to
 */
export async function inspectTarget(wanted: "file" | "directory", path: string): Promise<TargetKind> {
  const named = await statOf(path, false);
  if (named === undefined) {
    if (wanted === "file") await expectDirectory(dirname(path), path);
    return wanted;
  }
  const isLink = named.isSymbolicLink();
  const found = isLink ? await statOf(path, true) : named;
  if (found === undefined) throw unwritable(path, "is a symbolic link that leads nowhere");
  if (wanted === "directory") {
    if (!found.isDirectory()) throw unwritable(path, "is not a directory");
    return wanted;
  }
  // `/dev/stdout` is a link, and is fine. A link to a file is not: the rename at the end would replace the link.
  if (found.isFile() && isLink) throw unwritable(path, "is a symbolic link to a file: name the file itself");
  return found.isFile() ? "file" : specialKindOf(found, path);
}

/** Resolves to the regular file at `path`, or undefined. @throws MongotapError `output` when something else is there */
export async function inspectFile(path: string): Promise<Stats | undefined> {
  const found = await statOf(path, false);
  if (found?.isFile() === false) throw unwritable(path, "exists and is not a regular file");
  return found;
}

function specialKindOf(found: Stats, path: string): "special" | "fifo" {
  if (found.isDirectory()) throw unwritable(path, "is a directory: end it with a slash for one file per collection");
  if (found.isFIFO()) return "fifo";
  if (found.isCharacterDevice()) return "special";
  throw unwritable(path, found.isSocket() ? "is a socket" : "is a block device");
}

async function expectDirectory(directory: string, path: string): Promise<void> {
  const found = await statOf(directory, true);
  if (found === undefined) throw unwritable(path, `cannot be created: the directory ${directory} does not exist`);
  if (!found.isDirectory()) throw unwritable(path, `cannot be created: ${directory} is not a directory`);
}

async function statOf(path: string, follow: boolean): Promise<Stats | undefined> {
  try {
    return await (follow ? stat(path) : lstat(path));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw outputError("write to", path, error);
  }
}

/** Resolves when the names that were made, changed and removed in `directory` are durable. @throws MongotapError `output` */
export async function syncNames(directory: string): Promise<void> {
  try {
    await syncDirectory(directory);
  } catch (error) {
    throw outputError("make durable the directory", directory, error);
  }
}

/** Makes `directory` and its missing parents, durably. @throws MongotapError `output` */
export async function makeDirectory(directory: string): Promise<void> {
  try {
    const first = await mkdir(directory, { recursive: true });
    if (first === undefined) return;
    for (let made = directory; made.length >= first.length; made = dirname(made)) await syncNames(dirname(made));
  } catch (error) {
    throw outputError("create the directory", directory, error);
  }
}

/**
 * Resolves to whether names in `directory` that differ in case are the same name. That is a property of each directory, not
 * of the system, so it makes a file, under a fixed name: a crash leaves at most one. Shards may do so in one directory at
 * once; where another shard removed the file meanwhile, it tries again.
 * @throws MongotapError `output`
 */
export async function foldsCase(directory: string): Promise<boolean> {
  const probe = join(directory, ".mongotap-case-probe");
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false, // the usual answer for the name in capitals
    );
  try {
    for (let attempt = 1; ; attempt += 1) {
      const handle = await open(probe, PROBE_FLAGS, 0o600);
      await handle.close();
      const folds = await exists(join(directory, ".mongotap-CASE-probe"));
      const isSure = folds || attempt === PROBE_ATTEMPTS || (await exists(probe));
      await rm(probe, { force: true });
      if (isSure) return folds;
    }
  } catch (error) {
    throw outputError("write to the directory", directory, error);
  }
}

/** A probe that a crash left is used again; a link under its name is not followed (Windows has no such flag). */
const PROBE_FLAGS = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
const PROBE_ATTEMPTS = 100;
