/** The files beside the program: manual page, completions, notices. Each is made from what the program itself has. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli.ts";
import { completionScript } from "../../src/commands/completion.ts";
import { manPage } from "./man.ts";

/** By name. */
export interface Texts {
  readonly manual: string;
  readonly bash: string;
  readonly zsh: string;
  readonly fish: string;
  readonly license: string;
  readonly readme: string;
  readonly notices: string;
}

export function textsOf(root: string, notices: string, version: string, time: Date): Texts {
  return {
    manual: manPage(version, time),
    bash: completionScript(COMMANDS, "bash"),
    zsh: completionScript(COMMANDS, "zsh"),
    fish: completionScript(COMMANDS, "fish"),
    license: readFileSync(join(root, "LICENSE"), "utf8"),
    readme: readFileSync(join(root, "README.md"), "utf8"),
    notices,
  };
}
