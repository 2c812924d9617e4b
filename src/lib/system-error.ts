/** What the operating system says when a call fails → words for the user, the same in every runtime. */

import { messageOf } from "../errors.ts";

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
