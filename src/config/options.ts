/**
 * THE table: one row for each setting. Flags, environment variables, keys of the config file and their JSON Schema, help,
 * the README's table and the types of the resolved settings all come from here.
 */

import type * as v from "valibot";

import { ENVELOPES } from "../protocol/envelopes.ts";
import type { OptionRow } from "./option-row.ts";
import type { ServerChoice } from "./server-choice.ts";
import { SOURCE_OPTIONS } from "./source-options.ts";
import { SPEED_OPTIONS } from "./speed-options.ts";
import type { TunnelChoice } from "./tunnel.ts";
import { badDocumentPolicy, duration, flag, oneOf, percent, startAt, text, wholeNumber } from "./values.ts";

export const OPTIONS = {
  ...SOURCE_OPTIONS,
  ...SPEED_OPTIONS,
  sample: {
    flag: "sample",
    value: "N",
    group: "what",
    text: "look at so many documents of each collection for its fields, 0 for none; unset: 1000, but for a table only where a collection is named",
    schema: wholeNumber(0),
  },
  sampleTime: {
    flag: "sample-time",
    value: "DURATION",
    group: "what",
    text: "read the sample of one collection for no longer than this",
    fallback: "10s",
    schema: duration,
  },
  examples: {
    flag: "examples",
    value: "none|masked|shown",
    group: "what",
    text: "show a few values of each field; masked: letters as x, digits as 9",
    fallback: "none",
    schema: oneOf(["none", "masked", "shown"]),
  },
  allowMissing: {
    flag: "allow-missing",
    group: "what",
    text: "do not mind collections that do not exist yet",
    schema: flag,
  },
  out: {
    flag: "out",
    value: "-|FILE|DIR/",
    group: "output",
    text: "standard output, one file, or a folder with one file per collection",
    fallback: "-",
    path: "whole",
    schema: text,
  },
  format: {
    flag: "format",
    value: "FORMAT",
    group: "output",
    text: "JSON of the values: relaxed or canonical Extended JSON v2, or plain",
    fallback: "relaxed",
    schema: oneOf(["relaxed", "canonical", "plain"]),
  },
  envelope: {
    flag: "envelope",
    value: "ENVELOPE",
    group: "output",
    text: `what a line says around the document: ${ENVELOPES.join(", ")}`,
    schema: oneOf(ENVELOPES),
  },
  fullDocument: {
    flag: "full-document",
    value: "CHOICE",
    group: "what",
    text: "the document of an update: lookup (as it is by now), image (as it was; the collection must keep images), none, or auto",
    fallback: "auto",
    schema: oneOf(["auto", "lookup", "image", "none"]),
  },
  before: {
    flag: "before",
    value: "auto|none",
    group: "what",
    text: "the document before a change: auto (where the collection keeps images), or none",
    fallback: "auto",
    schema: oneOf(["auto", "none"]),
  },
  arrays: {
    flag: "arrays",
    value: "array|string",
    group: "output",
    text: "arrays as JSON arrays whose elements must be of one type, or as strings that hold their JSON; unset: as they are",
    schema: oneOf(["array", "string"]),
  },
  documents: {
    flag: "documents",
    value: "document|string",
    group: "output",
    text: "nested documents as JSON objects, or as strings that hold their JSON",
    fallback: "document",
    schema: oneOf(["document", "string"]),
  },
  strict: {
    flag: "strict",
    group: "output",
    text: "invalid UTF-8 is a bad document, instead of U+FFFD in its place",
    schema: flag,
  },
  onBadDocument: {
    flag: "on-bad-document",
    value: "POLICY",
    group: "output",
    path: "behind =",
    text: "what cannot be carried: fail, skip (counted), or quarantine=FILE (a line with its bytes)",
    fallback: "fail",
    schema: badDocumentPolicy,
  },
  state: {
    flag: "state",
    value: "FILE",
    group: "state",
    text: "keep the position here, and go on from it",
    path: "whole",
    schema: text,
  },
  fresh: { flag: "fresh", group: "state", text: "forget the state and start over; replaces the output", schema: flag },
  acceptChange: {
    flag: "accept-change",
    group: "state",
    text: "go on although format, envelope, output or what is read has changed since",
    schema: flag,
  },
  onHistoryLost: {
    flag: "on-history-lost",
    value: "POLICY",
    group: "state",
    text: "when the oplog no longer reaches back to the position: next-run ends, and the next run backfills again; fail; now backfills at once",
    fallback: "next-run",
    schema: oneOf(["next-run", "fail", "now"]),
  },
  waitLock: {
    flag: "wait-lock",
    value: "DURATION",
    group: "state",
    text: "wait so long for another run on the same state to end",
    fallback: "0s",
    schema: duration,
  },
  skipIfLocked: {
    flag: "skip-if-locked",
    group: "state",
    text: "end with 0 when another run holds the state",
    schema: flag,
  },
  until: {
    flag: "until",
    value: "caught-up",
    group: "bounds",
    text: "end when everything has come that was there at the start",
    schema: oneOf(["caught-up"]),
  },
  for: { flag: "for", value: "DURATION", group: "bounds", text: "end after so long", schema: duration },
  limit: {
    flag: "limit",
    value: "N",
    group: "bounds",
    text: "end after so many documents or changes",
    schema: wholeNumber(1),
  },
  startAt: {
    flag: "start-at",
    value: "now|TIME|TOKEN",
    group: "bounds",
    text: "where a new tail begins: an ISO date, seconds since 1970, or a resume token",
    fallback: "now",
    schema: startAt,
  },
  retryFor: {
    flag: "retry-for",
    value: "DURATION",
    group: "bounds",
    text: "how long to go on trying when the server does not answer",
    fallback: "5m",
    schema: duration,
  },
  warnAt: {
    flag: "warn-at",
    value: "PERCENT",
    group: "seeing",
    text: "end with 11 when the position has used up so much of the oplog window, such as 50%",
    schema: percent,
  },
  as: {
    flag: "as",
    value: "FORM",
    group: "seeing",
    text: "how to print: table or json; discover also as jsonschema, flow, airbyte, singer or html",
    fallback: "table",
    schema: oneOf(["table", "json", "jsonschema", "flow", "airbyte", "singer", "html"]),
  },
  json: { flag: "json", group: "seeing", text: "the same as --as json", schema: flag },
  diff: {
    flag: "diff",
    value: "FILE",
    group: "seeing",
    text: "print what has changed since --as json was printed into this file, and end with 11 if anything has",
    path: "whole",
    schema: text,
  },
  logLevel: {
    flag: "log-level",
    value: "LEVEL",
    group: "seeing",
    text: "error, warn, info or debug",
    fallback: "info",
    schema: oneOf(["error", "warn", "info", "debug"]),
  },
  logFormat: {
    flag: "log-format",
    value: "text|json",
    group: "seeing",
    text: "how messages on standard error look",
    fallback: "text",
    schema: oneOf(["text", "json"]),
  },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof OPTIONS;

type ValueOf<R extends OptionRow> = R extends { repeatable: true }
  ? readonly v.InferOutput<R["schema"]>[]
  : R extends { fallback: string }
    ? v.InferOutput<R["schema"]>
    : R extends { value: string }
      ? v.InferOutput<R["schema"]> | undefined
      : boolean;

/** Options with a fallback are always set, switches are false and lists are empty when not given. */
export type OptionValues = Readonly<{ [K in OptionName]: ValueOf<(typeof OPTIONS)[K]> }>;

/** The settings of a run. */
export interface Settings extends OptionValues {
  /** The server to read from, once flags, variables and config file are held against each other. */
  readonly server: ServerChoice;
  /** Through which ssh server to reach it; undefined for none. */
  readonly tunnel: TunnelChoice | undefined;
}

export function envNameOf(row: OptionRow): string {
  return `MONGOTAP_${row.flag.replaceAll("-", "_").toUpperCase()}`;
}
