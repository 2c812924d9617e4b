/** The options for what is printed and logged. */

import type { OptionRow } from "../setting.ts";
import { oneOf, percent, text } from "../value-schemas.ts";

export const REPORTING_OPTIONS = {
  warnAt: {
    flag: "warn-at",
    value: "PERCENT",
    text: "end with 11 when the position has used up so much of the oplog window, such as 50%",
    schema: percent,
  },
  as: {
    flag: "as",
    value: "FORM",
    text: "how to print: table or json; discover also as jsonschema, flow, airbyte, singer or html",
    fallback: "table",
    schema: oneOf(["table", "json", "jsonschema", "flow", "airbyte", "singer", "html"]),
  },
  diff: {
    flag: "diff",
    value: "FILE",
    text: "print what has changed since --as json was printed into this file, and end with 11 if anything has",
    path: "whole",
    schema: text,
  },
  logLevel: {
    flag: "log-level",
    value: "LEVEL",
    text: "error, warn, info or debug",
    fallback: "info",
    schema: oneOf(["error", "warn", "info", "debug"]),
  },
  logFormat: {
    flag: "log-format",
    value: "text|json",
    text: "how messages on standard error look",
    fallback: "text",
    schema: oneOf(["text", "json"]),
  },
} as const satisfies Record<string, OptionRow>;
