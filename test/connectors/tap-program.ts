/** The program under test as platforms call it: one path, without words, that is the Singer tap. */

import { chmod, symlink, writeFile } from "node:fs/promises";
import { commandUnderTest } from "../support/command.ts";
import type { TempDir } from "../support/temp.ts";

/** Returns the path of a link with the name tap-mongotap; where the program is more than one word, of a script. */
export async function tapProgram(dir: TempDir): Promise<string> {
  const path = dir.join("tap-mongotap");
  const { program, args } = commandUnderTest();
  if (args.length === 0) {
    await symlink(program, path);
    return path;
  }
  const words = [program, ...args, "singer"].map((word) => `'${word}'`).join(" ");
  await writeFile(path, `#!/bin/sh\nexec ${words} "$@"\n`);
  await chmod(path, 0o755);
  return path;
}
