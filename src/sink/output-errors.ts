/** What can go wrong with an output, as errors for the user. */

import { MongotapError } from "../errors.ts";
import { reasonOf } from "../lib/fs.ts";

/** An `output` error that says what could not be done to which path, and why. A MongotapError stays what it is. */
export function outputError(doing: string, path: string, error: unknown): MongotapError {
  if (error instanceof MongotapError) return error;
  return new MongotapError("output", `cannot ${doing} ${path}: ${reasonOf(error)}`, { cause: error });
}

/** `path` cannot be written to because of what it is. */
export function outputIs(path: string, what: string): MongotapError {
  return new MongotapError("output", `${path} ${what}`);
}

/** A finished file that no mark speaks of: perhaps all that there is of something. */
export function unknownFile(path: string): MongotapError {
  return new MongotapError("output", `${path} exists, and no state file says that it is ours`, {
    hint: "Move it away, choose another --out, or start over with --fresh.",
  });
}

/** Another program wrote, moved or rotated our file. */
export function changedOutside(path: string, how: string): MongotapError {
  return new MongotapError("output", `${path} was changed by another program while it was being written: ${how}`, {
    hint: "Let nothing else write, move or rotate this file, then run again.",
  });
}

/** The marks and the path do not belong together. */
export function otherOutput(path: string): MongotapError {
  return new MongotapError("state", `the state file belongs to another output than ${path}; nothing was written`, {
    hint: "Use the --out of the earlier run, or another --state.",
  });
}
