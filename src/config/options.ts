/**
 * The table of options: one row for each setting, in the file of its group. Flags, environment variables, keys of the config
 * file and their JSON Schema, the help, the table of the README and the types of the settings all come from it.
 */

import type * as v from "valibot";

import { BOUNDS_OPTIONS } from "./options/bounds.ts";
import { OUTPUT_OPTIONS } from "./options/output.ts";
import { PLATFORM_OPTIONS } from "./options/platform.ts";
import { REPORTING_OPTIONS } from "./options/reporting.ts";
import { SELECTION_OPTIONS } from "./options/selection.ts";
import { SOURCE_OPTIONS } from "./options/source.ts";
import { STATE_OPTIONS } from "./options/state.ts";
import type { ServerChoice } from "./server.ts";
import type { OptionRow } from "./setting.ts";
import type { TunnelChoice } from "./tunnel.ts";

/** In the order of the help. */
export const OPTION_GROUPS = {
  source: SOURCE_OPTIONS,
  selection: SELECTION_OPTIONS,
  output: OUTPUT_OPTIONS,
  state: STATE_OPTIONS,
  bounds: BOUNDS_OPTIONS,
  reporting: REPORTING_OPTIONS,
  platform: PLATFORM_OPTIONS,
} as const;

export const OPTIONS = {
  ...SOURCE_OPTIONS,
  ...SELECTION_OPTIONS,
  ...OUTPUT_OPTIONS,
  ...STATE_OPTIONS,
  ...BOUNDS_OPTIONS,
  ...REPORTING_OPTIONS,
  ...PLATFORM_OPTIONS,
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof OPTIONS;

type ValueOf<R extends OptionRow> = R extends { repeatable: true }
  ? readonly v.InferOutput<R["schema"]>[]
  : R extends { fallback: string }
    ? v.InferOutput<R["schema"]>
    : R extends { value: string }
      ? v.InferOutput<R["schema"]> | undefined
      : boolean;

/** The value of each option. If not given, it is the fallback; without one, false for a switch, an empty list, or undefined. */
type OptionValues = Readonly<{ [K in OptionName]: ValueOf<(typeof OPTIONS)[K]> }>;

/** The server to read from, chosen from the options for the source. */
interface ServerSettings {
  readonly server: ServerChoice;
  /** Through which ssh server to reach it; undefined for a direct connection. */
  readonly tunnel: TunnelChoice | undefined;
}

/** The settings that a command with these options may read. */
export type SettingsOf<Name extends OptionName> = Pick<OptionValues, Name> &
  ("uri" extends Name ? ServerSettings : unknown);

/** The settings of a run, as if its command took all options. */
export type Settings = SettingsOf<OptionName>;

export function envNameOf(row: OptionRow): string {
  return `MONGOTAP_${row.flag.replaceAll("-", "_").toUpperCase()}`;
}
