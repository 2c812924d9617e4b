/** What every command gets. */

import type { Logger } from "../observe/log.ts";

/** The parts of the process that commands use. main.ts makes it. */
export interface ProcessContext {
  readonly version: string;
  /** For people: the commit and target of a binary, or that it runs from source; and the runtime. */
  readonly build: string;
  readonly pid: number;
  /** Columns of the terminal; 100 if standard output is none. */
  readonly columns: number;
  /** Aborts with a Stop as its reason when the run must finish its batch, save and end. */
  readonly signal: AbortSignal;
  /** Opens standard input. */
  readonly stdin: () => AsyncIterable<Uint8Array>;
}

/** One call of a command that reads the settings `S`. */
export interface Invocation<S> {
  /** The name of the command. */
  readonly command: string;
  /** The namespaces to read, of the command line or the config file. */
  readonly namespaces: readonly string[];
  /** By namespace, the target that names its file in a folder. */
  readonly targets: ReadonlyMap<string, string>;
  readonly settings: S;
  readonly log: Logger;
  readonly context: ProcessContext;
}
