/** What node:fs leaves open: system errors in words, durable names, the null device. */

import { open } from "node:fs/promises";
import { type Stats, statSync } from "node:fs";
import { messageOf } from "../errors.ts";

/** False where there is no /dev/null. */
export function isNullDevice(found: Stats): boolean {
  return found.isCharacterDevice() && found.rdev === statSync("/dev/null", { throwIfNoEntry: false })?.rdev;
}

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

/** What users meet; for other codes the runtime's own words are shown. */
const REASON: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EDQUOT: "the disk quota is used up",
  EEXIST: "it exists already",
  EFBIG: "the file would be larger than the system allows (ulimit -f)",
  EIO: "the device reports an input/output error",
  EISDIR: "it is a directory",
  ELOOP: "it is a symbolic link",
  EMFILE: "too many open files (ulimit -n)",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "the file or its directory does not exist",
  ENOSPC: "no space left on the device",
  ENOTDIR: "a part of the path is not a directory",
  EPERM: "operation not permitted",
  EROFS: "the file system is read-only",
};

/** The system's code (`ENOSPC`) of anything thrown, or an empty string. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** Why a system call failed, in one line. */
export function reasonOf(error: unknown): string {
  const known = REASON[codeOf(error)];
  if (known !== undefined) return known;
  return messageOf(error).split("\n", 1)[0] ?? "";
}
