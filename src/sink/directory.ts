/** What a directory must do for us: exist, keep the names that we give out, and tell `a` from `A` or say that it cannot. */

import { constants } from "node:fs";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "../lib/fs.ts";
import { outputError } from "./output-errors.ts";

/** Resolves when names made, changed and removed in `directory` would survive a power cut. */
export async function syncNames(directory: string): Promise<void> {
  try {
    await syncDirectory(directory);
  } catch (error) {
    throw outputError("make durable the directory", directory, error);
  }
}

/** Makes `directory` and its parents where they are missing, durably. */
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
 * Whether `directory` takes names that differ in capitals for the same name. Tried out with a file, because it is a
 * property of each directory, not of the system; the file has one fixed name, so that a crash leaves at most one. The
 * shares of a backfill may try at once in one directory: who finds the file taken away meanwhile tries again.
 */
export async function foldsCase(directory: string): Promise<boolean> {
  const probe = join(directory, ".mongotap-case-probe");
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false, // usually the one with capitals is not there
    );
  try {
    for (let attempt = 1; ; attempt += 1) {
      const handle = await open(probe, PROBE_FLAGS, 0o600);
      await handle.close();
      const folds = await exists(join(directory, ".mongotap-CASE-probe"));
      const isSure = folds || attempt === ATTEMPTS || (await exists(probe));
      await rm(probe, { force: true });
      if (isSure) return folds;
    }
  } catch (error) {
    throw outputError("write to the directory", directory, error);
  }
}

/** Left behind is as good as new; a link that was planted there is not followed. Windows has no such flag. */
const PROBE_FLAGS = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
const ATTEMPTS = 100;
