/**
 * Puts the outputs back to where the state says they are. First every mark is checked and nothing is touched; only when
 * all of them hold are the files cut back, so a refused run leaves everything as it found it.
 */

import { constants } from "node:fs";
import { lstat, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { MongotapError } from "../errors.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";
import { syncNames } from "./directory.ts";
import { outputError } from "./output-errors.ts";
import { currentPath, tailCrcOf } from "./output-file.ts";
import type { OutputMark } from "./sink.ts";

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** A mark that holds, and the place where its bytes were found. */
interface Found {
  readonly mark: OutputMark;
  readonly place: string;
  readonly size: number;
}

/**
 * Resolves when each file of `marks` ends at its mark, durably, and has the name that it should have by now: where
 * files are sealed (`seals`) an unfinished one is partial, elsewhere a file that the state knows has its own name.
 * Returns the marks as they are then.
 * @throws MongotapError `state` when a file is missing, shorter than its mark or not the same file: nothing was touched.
 */
export async function recover(marks: readonly OutputMark[], seals: boolean): Promise<OutputMark[]> {
  const found: Found[] = [];
  for (const mark of marks) found.push(await check(mark));
  const recovered: OutputMark[] = [];
  for (const file of found) recovered.push(await cutBack(file, seals));
  for (const directory of new Set(marks.map((mark) => dirname(mark.path)))) await syncNames(directory);
  return recovered;
}

async function check(mark: OutputMark): Promise<Found> {
  const place = await locate(mark);
  const expected = `the state records ${mark.bytes} bytes`;
  try {
    const handle = await open(place, constants.O_RDONLY | NO_FOLLOW);
    try {
      const { size, ino } = await handle.stat();
      if (size < mark.bytes) throw unusable(`${place} is shorter than the state says: ${expected}, it has ${size}`);
      if (mark.sealed && size > mark.bytes) {
        throw unusable(`${place} has grown since it was finished: ${expected}, it has ${size}`);
      }
      const isOther = mark.bytes === 0 && size > 0 && ino !== mark.inode;
      if (isOther || (await tailCrcOf(handle, mark.bytes)) !== mark.tailCrc) {
        throw unusable(`${place} is not the file that the state knows: ${expected}, it has ${size} with other content`);
      }
      return { mark, place, size };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof MongotapError) throw error;
    throw unusable(`${place} cannot be read: ${reasonOf(error)} (${expected})`, error);
  }
}

/**
 * Where the bytes of `mark` are: a new file may have got its own name after the mark was made, and a finished file may
 * have got it just before the crash.
 */
async function locate(mark: OutputMark): Promise<string> {
  const hasOwn = await exists(mark.path);
  const hasPartial = mark.partial !== undefined && (await exists(currentPath(mark.path, mark)));
  if (hasPartial && hasOwn && mark.partial === "new") {
    throw unusable(`both ${mark.path} and ${mark.path}.partial exist, and the state knows only the second`);
  }
  if (hasPartial) return currentPath(mark.path, mark);
  if (hasOwn) return mark.path;
  throw unusable(`${currentPath(mark.path, mark)} is missing: the state records ${mark.bytes} bytes, there are 0`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false;
    throw unusable(`${path} cannot be read: ${reasonOf(error)}`, error);
  }
}

async function cutBack({ mark, place, size }: Found, seals: boolean): Promise<OutputMark> {
  const { partial, ...named } = mark;
  const next: OutputMark = seals && partial !== undefined ? mark : named;
  const target = currentPath(next.path, next);
  try {
    if (size > mark.bytes) {
      const handle = await open(place, constants.O_RDWR | NO_FOLLOW);
      try {
        await handle.truncate(mark.bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    if (place !== target) await rename(place, target);
  } catch (error) {
    throw outputError("cut back", place, error);
  }
  return next;
}

function unusable(message: string, cause?: unknown): MongotapError {
  return new MongotapError("state", `${message}; nothing was written`, {
    hint: "Put the file back as it was, or start over with --fresh.",
    cause,
  });
}
