/** The type of a command, and of its row in the table of commands (cli.ts). */

import type { OptionName, Settings, SettingsOf } from "../config/options.ts";
import type { Invocation } from "../run/invocation.ts";

/**
 * A command that reads the settings `S`. Resolves to the exit code.
 * @throws MongotapError for a failure; main.ts prints it
 */
export type Command<S> = (invocation: Invocation<S>) => Promise<number>;

export interface CommandRow<Name extends OptionName = OptionName> {
  readonly args: string;
  readonly text: string;
  readonly options: readonly Name[];
  /** The forms that `--as` takes, if they are not table and json. */
  readonly forms?: readonly Settings["as"][];
  readonly examples: readonly string[];
  /** Imports the command, which may read the settings of these options only. */
  readonly load: () => Promise<Command<SettingsOf<Name>>>;
}

/** Makes a row. The compiler refuses a command that reads the setting of an option that is not in `options`. */
export function command<Name extends OptionName>(
  row: Omit<CommandRow<Name>, "load"> & { readonly load: () => Promise<Command<SettingsOf<NoInfer<Name>>>> },
): CommandRow<Name> {
  return row;
}
