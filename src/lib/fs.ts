/** Additions to node:fs: system errors in words, durable directory entries, the null device. */

import { open } from "node:fs/promises";
import { type Stats, statSync } from "node:fs";
import { messageOf } from "../errors.ts";

/** Whether `found` is /dev/null; false on systems without one. */
export function isNullDevice(found: Stats): boolean {
  return found.isCharacterDevice() && found.rdev === statSync("/dev/null", { throwIfNoEntry: false })?.rdev;
}

/** Errors of systems that cannot sync a directory: Windows, some network file systems. */
const CANNOT_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR", "EPERM", "EACCES", "EBADF"]);

/**
 * Syncs `directory`: entries created, renamed and removed in it then survive a power cut. Also resolves on a system that
 * cannot sync directories. Rejects with the system's error if the sync fails.
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

/** Texts for common codes; for others, the message of the runtime is used. */
const REASON_BY_CODE: Readonly<Record<string, string>> = {
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

/** The system's code (`ENOSPC`) of anything thrown; empty if it has none. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** Why a system call failed, in one line. Never throws. */
export function reasonOf(error: unknown): string {
  const known = REASON_BY_CODE[codeOf(error)];
  if (known !== undefined) return known;
  return messageOf(error).split("\n", 1)[0] ?? "";
}
