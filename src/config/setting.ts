/** A setting: its row in the table of options (options.ts), and a value as the user gave it. */

import type * as v from "valibot";

export interface OptionRow {
  /** The flag without its dashes. The environment variable is `MONGOTAP_` and this in capitals. */
  readonly flag: string;
  /** The setting has a variable and a key but no flag, because other users can read command lines. */
  readonly flagless?: true;
  /** The setting is a key only: it belongs to the config that a platform gives to its connector. */
  readonly configOnly?: true;
  /** The flag may be repeated; the variable takes a list with commas, the config file a list. */
  readonly repeatable?: true;
  /** The value is a path, or has one after its `=`. In a config file it is relative to the folder of that file. */
  readonly path?: "whole" | "behind =";
  /** The setting cannot be a key of the config file, because it says where that file is. */
  readonly noKey?: true;
  /** The placeholder of the value in the help; absent for switches. */
  readonly value?: string;
  readonly text: string;
  /** The default, as a user would type it. It is shown in the help. */
  readonly fallback?: string;
  /** From the text that was typed (`"true"` for a switch) to the value. */
  readonly schema: v.GenericSchema<string, unknown>;
  /** The value is never printed. */
  readonly secret?: boolean;
}

/** Where a value comes from: a flag wins over a variable, a variable over the config file. */
export type Level = "flag" | "env" | "file" | "default";

export interface RawSetting {
  readonly text: string;
  /** `--uri`, `MONGOTAP_URI` or `flow.yaml:3: uri`. */
  readonly from: string;
  readonly level: Level;
  /** The value must not be shown in messages. */
  readonly secret?: boolean;
}
