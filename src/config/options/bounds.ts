/** The options for where a run begins and ends, and how much it may use. */

import type { OptionRow } from "../setting.ts";
import { duration, oneOf, rate, size, startAt, wholeNumber } from "../value-schemas.ts";

export const BOUNDS_OPTIONS = {
  maxMemory: {
    flag: "max-memory",
    value: "SIZE",
    text: "about how much memory a run may take: smaller chunks wait for the stream and the output",
    fallback: "256MB",
    schema: size,
  },
  workers: {
    flag: "workers",
    value: "N",
    text: "read and encode collections in so many threads; unset: half of the processors, as far as --max-memory allows",
    schema: wholeNumber(1),
  },
  rateLimit: {
    flag: "rate-limit",
    value: "SIZE",
    text: "copy no more BSON than this per second, such as 5MB; changes are not held back",
    schema: rate,
  },
  maxLag: {
    flag: "max-lag",
    value: "DURATION",
    text: "copying waits while the majority of the replica set is further than this behind its primary; 0s: never",
    fallback: "10s",
    schema: duration,
  },
  until: {
    flag: "until",
    value: "caught-up",
    text: "end when everything has come that was there at the start",
    schema: oneOf(["caught-up"]),
  },
  for: { flag: "for", value: "DURATION", text: "end after so long", schema: duration },
  limit: {
    flag: "limit",
    value: "N",
    text: "end after so many documents or changes",
    schema: wholeNumber(1),
  },
  startAt: {
    flag: "start-at",
    value: "now|TIME|TOKEN",
    text: "where a new tail begins: an ISO date, seconds since 1970, a duration such as 1h for an hour ago, or a resume token",
    fallback: "now",
    schema: startAt,
  },
  retryFor: {
    flag: "retry-for",
    value: "DURATION",
    text: "how long to go on trying when the server does not answer",
    fallback: "5m",
    schema: duration,
  },
} as const satisfies Record<string, OptionRow>;
