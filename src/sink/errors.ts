/** The errors of outputs, in words for users. */

import { MongotapError } from "../errors.ts";
import { reasonOf } from "../lib/fs.ts";

/** Returns an `output` error: what could not be done to which path, and why. Returns a MongotapError as it is. */
export function outputError(doing: string, path: string, error: unknown): MongotapError {
  if (error instanceof MongotapError) return error;
  return new MongotapError("output", `cannot ${doing} ${path}: ${reasonOf(error)}`, { cause: error });
}

/** `path` cannot be written to: it `is` something else, or is missing something. */
export function unwritable(path: string, is: string): MongotapError {
  return new MongotapError("output", `${path} ${is}`);
}

/** There is a file under its own name, and no mark for it: it may be the user's. */
export function unknownFile(path: string): MongotapError {
  return new MongotapError("output", `${path} exists, and no state file says that it is ours`, {
    hint: "Move it away, choose another --out, or start over with --fresh.",
  });
}

/** Another program wrote to our file, moved it or rotated it. */
export function changedOutside(path: string, how: string): MongotapError {
  return new MongotapError("output", `${path} was changed by another program while it was being written: ${how}`, {
    hint: "Let nothing else write, move or rotate this file, then run again.",
  });
}

/** The marks are of another output than the one at `path`. */
export function otherOutput(path: string): MongotapError {
  return new MongotapError("state", `the state file belongs to another output than ${path}; nothing was written`, {
    hint: "Use the --out of the earlier run, or another --state.",
  });
}
