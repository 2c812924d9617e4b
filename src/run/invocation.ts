/** What every command is given, and what it returns. */

import type { Settings } from "../config/options.ts";
import type { Logger } from "../observe/log.ts";

/** The process, as far as commands may see it. main.ts makes it. */
export interface ProcessContext {
  readonly version: string;
  readonly pid: number;
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number;
  /** Aborts with a Stop as its reason when the run shall end in good order. */
  readonly signal: AbortSignal;
}

export interface Invocation {
  /** The name of the command, as it was typed. */
  readonly command: string;
  /** What to read, from the command line or the config file. */
  readonly namespaces: readonly string[];
  /** By namespace: the target that the config file gives it, which names its file in a folder. */
  readonly targets: ReadonlyMap<string, string>;
  readonly settings: Settings;
  readonly log: Logger;
  readonly context: ProcessContext;
}
