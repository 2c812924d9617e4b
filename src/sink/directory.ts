/** What a directory must do for us: exist, keep the names that we give out, and tell `a` from `A` or say that it cannot. */

import { randomUUID } from "node:crypto";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "../lib/sync-directory.ts";
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
 * property of each directory, not of the system. The shares of a backfill may do so in one directory at once.
 */
export async function foldsCase(directory: string): Promise<boolean> {
  const name = `.mongotap-case-probe-${randomUUID()}`;
  const probe = join(directory, name);
  try {
    const handle = await open(probe, "wx");
    await handle.close();
    const found = await stat(join(directory, name.replace("case", "CASE"))).catch(() => undefined); // usually it is not there
    await rm(probe, { force: true });
    return found !== undefined;
  } catch (error) {
    throw outputError("write to the directory", directory, error);
  }
}
