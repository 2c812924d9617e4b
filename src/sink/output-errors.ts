/** What the system says when a write fails → one line for the user. */

import { MongotapError } from "../errors.ts";

/** What users read for the codes that they meet; others keep the words of the system. */
const REASON: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be larger than the system allows (ulimit -f)",
  EIO: "the disk reports an input/output error",
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

/** Why a system call failed, in words. */
export function reasonOf(error: unknown): string {
  const known = REASON[codeOf(error)];
  if (known !== undefined) return known;
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}

/** An `output` error that says what could not be done to which path, and why. A MongotapError stays what it is. */
export function outputError(doing: string, path: string, error: unknown): MongotapError {
  if (error instanceof MongotapError) return error;
  return new MongotapError("output", `cannot ${doing} ${path}: ${reasonOf(error)}`, { cause: error });
}
