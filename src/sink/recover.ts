/**
 * Truncates the outputs to the marks of the state. First it checks every mark and touches nothing; it truncates only if all
 * marks hold, so a run that is refused leaves every file as it was.
 */

import { constants } from "node:fs";
import { lstat, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { MongotapError } from "../errors.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";
import { outputError } from "./errors.ts";
import { syncNames } from "./inspect-path.ts";
import { currentPathOf, tailCrcOf } from "./output-file.ts";
import type { OutputMark } from "./sink.ts";

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** A mark that holds. */
interface Checked {
  readonly mark: OutputMark;
  /** Where its bytes are. */
  readonly path: string;
  readonly size: number;
}

/**
 * Resolves when each file of `marks` ends at its mark, durably, and has the name that it should have: where files are
 * finalized (`finalizes`) an unfinished one stays partial, elsewhere a file with a mark has its own name. Returns the marks
 * as they are then.
 * @throws MongotapError `state` when a file is missing, shorter than its mark or another file: nothing was touched;
 *   `output` when it cannot be truncated or renamed
 */
export async function recover(marks: readonly OutputMark[], finalizes: boolean): Promise<OutputMark[]> {
  const checked: Checked[] = [];
  for (const mark of marks) checked.push(await check(mark));
  const recovered: OutputMark[] = [];
  for (const file of checked) recovered.push(await truncateToMark(file, finalizes));
  for (const directory of new Set(marks.map((mark) => dirname(mark.path)))) await syncNames(directory);
  return recovered;
}

async function check(mark: OutputMark): Promise<Checked> {
  const path = await locate(mark);
  const expected = `the state records ${mark.bytes} bytes`;
  try {
    const handle = await open(path, constants.O_RDONLY | NO_FOLLOW);
    try {
      const { size, ino } = await handle.stat();
      if (size < mark.bytes) throw unusable(`${path} is shorter than the state says: ${expected}, it has ${size}`);
      if (mark.finalized && size > mark.bytes) {
        throw unusable(`${path} has grown since it was finished: ${expected}, it has ${size}`);
      }
      const isOther = mark.bytes === 0 && size > 0 && ino !== mark.inode;
      if (isOther || (await tailCrcOf(handle, mark.bytes)) !== mark.tailCrc) {
        throw unusable(`${path} is not the file that the state knows: ${expected}, it has ${size} with other content`);
      }
      return { mark, path, size };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof MongotapError) throw error;
    throw unusable(`${path} cannot be read: ${reasonOf(error)} (${expected})`, error);
  }
}

/** Resolves to where the bytes of `mark` are: a file may have got its own name after the mark was saved, before the crash. */
async function locate(mark: OutputMark): Promise<string> {
  const hasOwn = await exists(mark.path);
  const hasPartial = mark.partial !== undefined && (await exists(currentPathOf(mark)));
  if (hasPartial && hasOwn && mark.partial === "new") {
    throw unusable(`both ${mark.path} and ${mark.path}.partial exist, and the state knows only the second`);
  }
  if (hasPartial) return currentPathOf(mark);
  if (hasOwn) return mark.path;
  throw unusable(`${currentPathOf(mark)} is missing: the state records ${mark.bytes} bytes, there are 0`);
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

async function truncateToMark({ mark, path, size }: Checked, finalizes: boolean): Promise<OutputMark> {
  const { partial, ...named } = mark;
  const next: OutputMark = finalizes && partial !== undefined ? mark : named;
  const target = currentPathOf(next);
  try {
    if (size > mark.bytes) {
      const handle = await open(path, constants.O_RDWR | NO_FOLLOW);
      try {
        await handle.truncate(mark.bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    if (path !== target) await rename(path, target);
  } catch (error) {
    throw outputError("cut back", path, error);
  }
  return next;
}

function unusable(message: string, cause?: unknown): MongotapError {
  return new MongotapError("state", `${message}; nothing was written`, {
    hint: "Put the file back as it was, or start over with --fresh.",
    cause,
  });
}
