/** What an earlier backfill has left in a folder that was cut into other parts, or into none. */

import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";

import { MongotapError } from "../errors.ts";
import { codeOf } from "../lib/fs.ts";
import { wholePathOf } from "./file-names.ts";
import { outputError } from "./output-errors.ts";

/**
 * `paths` are all the files that a backfill is going to write. A file of another part of the same collections, or of one
 * as a whole, would stay beside them: whoever reads the folder would have its documents twice.
 * @throws MongotapError `output` when there is one
 */
export async function rejectStalePartitions(paths: readonly string[]): Promise<void> {
  const own = new Set(paths);
  const wholes = new Set(paths.map(wholePathOf));
  for (const directory of new Set(paths.map((path) => dirname(path)))) {
    for (const name of await namesIn(directory)) {
      const path = join(directory, name);
      if (own.has(path) || !wholes.has(wholePathOf(path))) continue;
      throw new MongotapError("output", `${path} is of an earlier backfill, which was cut otherwise`, {
        hint: "Its documents would be in the folder twice: remove its files, or choose another --out.",
      });
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []; // it is made with the first file
    throw outputError("read the directory", directory, error);
  }
}
