/** Each command can read the settings of its own options only. The compiler holds that: these constants are of its types. */

import { expect, test } from "bun:test";
import type { COMMANDS } from "../../src/cli.ts";
import type { backfill } from "../../src/commands/backfill.ts";
import type { capture } from "../../src/commands/capture.ts";
import type { check } from "../../src/commands/check.ts";
import type { Command, CommandRow } from "../../src/commands/command.ts";
import type { discover } from "../../src/commands/discover.ts";
import type { status } from "../../src/commands/status.ts";
import type { tail } from "../../src/commands/tail.ts";
import type { OptionName, SettingsOf } from "../../src/config/options.ts";

/** The settings that a command can read. */
type Reads<C> = C extends Command<infer Settings> ? keyof Settings : never;

type CanRead<C, Name> = Name extends Reads<C> ? true : false;

/** Whether a row with these options may load the command. */
type MayLoad<Name extends OptionName, C> = C extends Command<SettingsOf<Name>> ? true : false;

type OptionsOf<Row> = Row extends CommandRow<infer Name> ? Name : never;

test("a command cannot read an option that it does not take", () => {
  const cannot: readonly [
    CanRead<typeof status, "split">,
    CanRead<typeof status, "out">,
    CanRead<typeof check, "sample">,
    CanRead<typeof discover, "state">,
    CanRead<typeof tail, "split">,
    CanRead<typeof capture, "startAt">,
    CanRead<typeof backfill, "until">,
  ] = [false, false, false, false, false, false, false];
  const can: readonly [CanRead<typeof status, "warnAt">, CanRead<typeof status, "server">] = [true, true];
  expect([...cannot, ...can]).toEqual([false, false, false, false, false, false, false, true, true]);
});

test("a row cannot load a command that reads an option which is not in the row", () => {
  type StatusOptions = OptionsOf<(typeof COMMANDS)["status"]>;
  const may: readonly [
    MayLoad<StatusOptions, typeof status>,
    MayLoad<Exclude<StatusOptions, "warnAt">, typeof status>,
    MayLoad<Exclude<StatusOptions, "uri">, typeof status>,
    MayLoad<OptionsOf<(typeof COMMANDS)["tail"]>, typeof backfill>,
  ] = [true, false, false, false];
  expect(may).toEqual([true, false, false, false]);
});
