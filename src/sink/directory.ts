/** What a directory must do for us: exist, keep the names that we give out, and tell `a` from `A` or say that it cannot. */

import { mkdir, open, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, outputError } from "./output-errors.ts";

/** Systems that cannot sync a directory (Windows, some network file systems) say so in these ways. */
const CANNOT_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR", "EPERM", "EACCES", "EBADF"]);

/** Resolves when names made, changed and removed in `directory` would survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!CANNOT_SYNC.has(codeOf(error))) throw outputError("make durable the directory", directory, error);
  }
}

/** Makes `directory` and its parents where they are missing, durably. */
export async function makeDirectory(directory: string): Promise<void> {
  try {
    const first = await mkdir(directory, { recursive: true });
    if (first === undefined) return;
    for (let made = directory; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
  } catch (error) {
    throw outputError("create the directory", directory, error);
  }
}

/**
 * Whether `directory` takes names that differ in capitals for the same name. Tried out with a file, because it is a
 * property of each directory, not of the system; the file has one fixed name, so that a crash leaves at most one.
 */
export async function foldsCase(directory: string): Promise<boolean> {
  const probe = join(directory, ".mongotap-case-probe");
  try {
    await writeFile(probe, "");
    return await stat(join(directory, ".mongotap-CASE-probe")).then(
      () => true,
      () => false,
    );
  } catch (error) {
    throw outputError("write to the directory", directory, error);
  } finally {
    await rm(probe, { force: true });
  }
}
