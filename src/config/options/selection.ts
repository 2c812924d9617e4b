/** The options for what to read. */

import type { OptionRow } from "../setting.ts";
import { duration, flag, namespace, oneOf, shard, text, wholeNumber } from "../value-schemas.ts";

export const SELECTION_OPTIONS = {
  collectionsFile: {
    flag: "collections-file",
    value: "FILE",
    text: "CSV without a header: one db.collection, db,collection or db on each row",
    path: "whole",
    schema: text,
  },
  exclude: {
    flag: "exclude",
    value: "NAMESPACE",
    text: "leave this out of a database that is read as a whole; may be given more than once",
    repeatable: true,
    schema: namespace,
  },
  shard: {
    flag: "shard",
    value: "I/N",
    text: "read only share I (0 to N-1) of N, so that N processes copy everything together",
    schema: shard,
  },
  ranges: {
    flag: "ranges",
    value: "FILE",
    text: "where the shares are cut: made by the first of them, read by the others",
    path: "whole",
    schema: text,
  },
  sample: {
    flag: "sample",
    value: "N",
    text: "look at so many documents of each collection for its fields, 0 for none; unset: 1000, but for a table only where a collection is named",
    schema: wholeNumber(0),
  },
  sampleTime: {
    flag: "sample-time",
    value: "DURATION",
    text: "read the sample of one collection for no longer than this",
    fallback: "10s",
    schema: duration,
  },
  examples: {
    flag: "examples",
    value: "none|masked|shown",
    text: "show a few values of each field; masked: letters as x, digits as 9",
    fallback: "none",
    schema: oneOf(["none", "masked", "shown"]),
  },
  allowMissing: {
    flag: "allow-missing",
    text: "do not mind collections that do not exist yet",
    schema: flag,
  },
  fullDocument: {
    flag: "full-document",
    value: "CHOICE",
    text: "the document of an update: exact (as the update left it), image (the same, from the images that the collection keeps), or none",
    fallback: "exact",
    schema: oneOf(["exact", "image", "none"]),
  },
  before: {
    flag: "before",
    value: "auto|none",
    text: "the document before a change: auto (where the collection keeps images), or none",
    fallback: "auto",
    schema: oneOf(["auto", "none"]),
  },
} as const satisfies Record<string, OptionRow>;
