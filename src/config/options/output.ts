/** The options for where the output goes, and its form. */

import { ENVELOPES } from "../../protocol/envelopes.ts";
import type { OptionRow } from "../setting.ts";
import { badDocumentPolicy, flag, oneOf, text } from "../value-schemas.ts";

export const OUTPUT_OPTIONS = {
  split: {
    flag: "split",
    text: "cut collections into ranges, each with a file of its own in the folder of --out",
    schema: flag,
  },
  out: {
    flag: "out",
    value: "-|FILE|DIR/",
    text: "standard output, one file, or a folder with one file per collection",
    fallback: "-",
    path: "whole",
    schema: text,
  },
  format: {
    flag: "format",
    value: "FORMAT",
    text: "JSON of the values: relaxed or canonical Extended JSON v2, or plain",
    fallback: "relaxed",
    schema: oneOf(["relaxed", "canonical", "plain"]),
  },
  envelope: {
    flag: "envelope",
    value: "ENVELOPE",
    text: `what a line says around the document: ${ENVELOPES.join(", ")}`,
    schema: oneOf(ENVELOPES),
  },
  arrays: {
    flag: "arrays",
    value: "array|string",
    text: "arrays as JSON arrays whose elements must be of one type, or as strings that hold their JSON; unset: as they are",
    schema: oneOf(["array", "string"]),
  },
  documents: {
    flag: "documents",
    value: "document|string",
    text: "nested documents as JSON objects, or as strings that hold their JSON",
    fallback: "document",
    schema: oneOf(["document", "string"]),
  },
  strict: {
    flag: "strict",
    text: "invalid UTF-8 is a bad document, instead of U+FFFD in its place",
    schema: flag,
  },
  onBadDocument: {
    flag: "on-bad-document",
    value: "POLICY",
    path: "behind =",
    text: "what cannot be carried, or is too large for the server to send: fail, skip (counted), or quarantine=FILE (a line with its bytes)",
    fallback: "fail",
    schema: badDocumentPolicy,
  },
} as const satisfies Record<string, OptionRow>;
