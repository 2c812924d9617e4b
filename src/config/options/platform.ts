/** The options of the connectors of platforms: keys of the config that a platform gives to them. */

import type { OptionRow } from "../setting.ts";
import { flag, oneOf } from "../value-schemas.ts";

export const PLATFORM_OPTIONS = {
  columns: {
    flag: "columns",
    configOnly: true,
    value: "fields|data",
    text: "a column for each field of a document, or _id and the document in one column",
    fallback: "fields",
    schema: oneOf(["fields", "data"]),
  },
  stateType: {
    flag: "state-type",
    configOnly: true,
    value: "stream|global",
    text: "Airbyte: a state for each stream, or one for all",
    fallback: "stream",
    schema: oneOf(["stream", "global"]),
  },
  newestOnly: {
    flag: "newest-only",
    configOnly: true,
    text: "Airbyte: of the changes of a document, only the newest of a read",
    schema: flag,
  },
  activateVersion: {
    flag: "activate-version",
    configOnly: true,
    value: "replaced|always",
    text: "Singer: make earlier rows void where a copy replaces one, or with every copy",
    fallback: "replaced",
    schema: oneOf(["replaced", "always"]),
  },
} as const satisfies Record<string, OptionRow>;
