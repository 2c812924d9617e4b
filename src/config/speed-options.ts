/** The rows of THE table (options.ts) that say how fast and by how many a copy is made. */

import type { OptionRow } from "./option-row.ts";
import { duration, flag, rate, shard, size, text, wholeNumber } from "./values.ts";

export const SPEED_OPTIONS = {
  maxMemory: {
    flag: "max-memory",
    value: "SIZE",
    group: "bounds",
    text: "about how much memory a run may take: smaller chunks wait for the stream and the output",
    fallback: "256MB",
    schema: size,
  },
  shard: {
    flag: "shard",
    value: "I/N",
    group: "what",
    text: "read only share I (0 to N-1) of N, so that N processes copy everything together",
    schema: shard,
  },
  ranges: {
    flag: "ranges",
    value: "FILE",
    group: "what",
    text: "where the shares are cut: made by the first of them, read by the others",
    path: "whole",
    schema: text,
  },
  split: {
    flag: "split",
    group: "output",
    text: "cut collections into ranges, each with a file of its own in the folder of --out",
    schema: flag,
  },
  workers: {
    flag: "workers",
    value: "N",
    group: "bounds",
    text: "read and encode collections in so many threads; unset: half of the processors, as far as --max-memory allows",
    schema: wholeNumber(1),
  },
  rateLimit: {
    flag: "rate-limit",
    value: "SIZE",
    group: "bounds",
    text: "copy no more BSON than this per second, such as 5MB; changes are not held back",
    schema: rate,
  },
  maxLag: {
    flag: "max-lag",
    value: "DURATION",
    group: "bounds",
    text: "copying waits while the majority of the replica set is further than this behind its primary; 0s: never",
    fallback: "10s",
    schema: duration,
  },
} as const satisfies Record<string, OptionRow>;
