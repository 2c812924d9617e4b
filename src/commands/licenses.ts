/** `mongotap --licenses`: prints the notices of all software of others that the binary contains. */

import { MongotapError } from "../errors.ts";
import { NOTICES } from "./notices.ts";
import { print } from "./print.ts";

/**
 * Prints them and resolves to the exit code.
 * @throws MongotapError `usage` if this is not a binary
 */
export async function licenses(): Promise<number> {
  if (NOTICES === undefined) {
    throw new MongotapError("usage", "the license notices are in the binary, and this runs from source", {
      hint: "Here each package is installed with its license, in node_modules/.",
    });
  }
  await print(NOTICES);
  return 0;
}
