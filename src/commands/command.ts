/** What a command is, and its row in the table of commands (cli.ts). */

import type { OptionName, Settings } from "../config/options.ts";
import type { Invocation } from "../run/invocation.ts";

/** Resolves to the exit code. Throws MongotapError for what ended it; main.ts prints that. */
export type Command = (invocation: Invocation) => Promise<number>;

export interface CommandRow {
  readonly args: string;
  readonly text: string;
  readonly options: readonly OptionName[];
  /** What `--as` takes, where that is more than table and json. */
  readonly forms?: readonly Settings["as"][];
  readonly examples: readonly string[];
  readonly load: () => Promise<Command>;
}
