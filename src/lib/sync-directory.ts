/** The last step of every atomic change of a file: its name. */

import { open } from "node:fs/promises";
import { codeOf } from "./system-error.ts";

/** Systems that cannot sync a directory (Windows, some network file systems) say so in these ways. */
const CANNOT_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR", "EPERM", "EACCES", "EBADF"]);

/**
 * Resolves when the names made, changed and removed in `directory` would survive a power cut, or when the system has no
 * way to say so. Rejects with the system's error when the sync failed.
 */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!CANNOT_SYNC.has(codeOf(error))) throw error;
  }
}
