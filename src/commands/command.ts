/** The type of a command, and of its row in the table of commands (cli.ts). */

import type { OptionName, Settings, SettingsOf } from "../config/options.ts";
import type { Logger } from "../observe/log.ts";
import type { Invocation, ProcessContext } from "../run/invocation.ts";

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

/** A call of a command that speaks the protocol of a platform. */
export interface PlatformCall {
  /** The arguments after the name of the command. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly context: ProcessContext;
  /** On standard error. */
  readonly log: Logger;
}

/**
 * A command that speaks the protocol of a platform: its arguments and its config are what the platform gives. Resolves to the
 * exit code, or to END_BY_SIGNAL where a signal has stopped it. Reports failures in its protocol.
 */
export type PlatformCommand = (call: PlatformCall) => Promise<number>;

/** Instead of an exit code: the process ends by the signal that has stopped it, so that it looks neither done nor failed. */
export const END_BY_SIGNAL = -1;

/** The row of a PlatformCommand. */
export interface PlatformRow extends Pick<CommandRow, "args" | "text" | "examples"> {
  /** Its own commands, for the help. */
  readonly words?: readonly (readonly [word: string, text: string])[];
  /** Its flags, for the help. */
  readonly flags: readonly (readonly [flag: string, text: string])[];
  readonly load: () => Promise<PlatformCommand>;
}

/** Makes a row. The compiler refuses a command that reads the setting of an option that is not in `options`. */
export function command<Name extends OptionName>(
  row: Omit<CommandRow<Name>, "load"> & { readonly load: () => Promise<Command<SettingsOf<NoInfer<Name>>>> },
): CommandRow<Name> {
  return row;
}
