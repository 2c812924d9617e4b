/** What is said of a setting in THE table (options.ts). */

import type * as v from "valibot";

export type Group = "source" | "what" | "output" | "state" | "bounds" | "seeing";

export interface OptionRow {
  /** As it is typed, without dashes. The environment variable is `MONGOTAP_` and this in capitals. */
  readonly flag: string;
  /** There is no such flag, only the variable and the key: command lines can be read by others. */
  readonly flagless?: true;
  /** May be given more than once; the variable takes a list with commas, the config file a list. */
  readonly repeatable?: true;
  /** Names a file or folder, as a whole or behind a `=`: in a config file it is relative to the folder of that file. */
  readonly path?: "whole" | "behind =";
  /** Says where the config file is, so it cannot stand in one. */
  readonly noKey?: true;
  /** What stands behind the flag in the help; absent for switches. */
  readonly value?: string;
  readonly group: Group;
  readonly text: string;
  /** Shown in the help where there is one; parsed like anything a user types. */
  readonly fallback?: string;
  /** From what was typed (`"true"` for a switch) to the value. */
  readonly schema: v.GenericSchema<string, unknown>;
  readonly secret?: boolean;
}
