/**
 * The schemas of values: names, durations, whole numbers, start positions. Each schema takes text, because flags and
 * variables are text. `json` in its metadata is the type of the value in the JSON Schema of the config file.
 */

import * as v from "valibot";

import { MongotapError } from "../errors.ts";
import { parseBinding } from "../source/bindings.ts";

/** The parts of `ssh://user@host:port`. */
export interface SshUrl {
  readonly user: string;
  readonly host: string;
  readonly port: number;
}

const SSH_URL = /^ssh:\/\/([^@/:]+)@(?:\[([0-9a-f:.]+)\]|([^@/:[\]]+))(?::(\d{1,5}))?\/?$/i;

/** The message for an invalid `--ssh`. It does not quote the value, because such URLs can hold passwords. */
export const TAKES_SSH_URL = "takes ssh://user@host or ssh://user@host:port";

/** Undefined if `typed` is no such URL, or has a password. */
export function parseSshUrl(typed: string): SshUrl | undefined {
  const [, user, ipv6, name, port = "22"] = SSH_URL.exec(typed) ?? [];
  const host = ipv6 ?? name;
  if (user === undefined || host === undefined || Number(port) < 1 || Number(port) > 65535) return undefined;
  return { user, host, port: Number(port) };
}

/** A URL that parseSshUrl accepts. */
export const sshUrl: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.check((typed) => parseSshUrl(typed) !== undefined, TAKES_SSH_URL),
);

/** The fingerprint of a key, as `ssh-keygen -l` prints it. */
export const sshFingerprint: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/, "takes a fingerprint such as ssh-keygen -l prints: SHA256:…"),
);

const COMPRESSORS = /^(?:zstd(?:,zlib)?|zlib(?:,zstd)?)$/;

/** The compressors of replies, the preferred one first, as in a connection string. */
export const compressors: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.regex(COMPRESSORS, "takes zstd, zlib, or both with a comma between"),
  v.metadata({ json: { type: "string", pattern: COMPRESSORS.source } }),
);

/** The JSON Schema of a value in a config file. */
export type JsonType = Readonly<Record<string, unknown>>;

/** A text that is not empty. */
export const text: v.GenericSchema<string, string> = v.pipe(v.string(), v.minLength(1, "must not be empty"));

/** A switch: on or off. */
export const flag: v.GenericSchema<string, boolean> = v.pipe(
  v.string(),
  v.picklist(["true", "false", "1", "0"], "takes true or false"),
  v.transform((typed) => typed === "true" || typed === "1"),
  v.metadata({ json: { type: "boolean" } }),
);

/** One of these words. */
export function oneOf<const T extends readonly [string, ...string[]]>(names: T): v.GenericSchema<string, T[number]> {
  return v.pipe(
    v.string(),
    v.picklist(names, `takes one of ${names.join(", ")}`),
    v.metadata({ json: { type: "string", enum: names } }),
  );
}

/** `db.collection`, `db.*` or `db`. */
export const namespace: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.check((typed) => validateNamespace(typed) === undefined, "takes a namespace: db.collection, db.* or db"),
);

/** Why `typed` is no namespace; undefined if it is one. */
export function validateNamespace(typed: string): string | undefined {
  try {
    parseBinding(typed);
    return undefined;
  } catch (error) {
    if (error instanceof MongotapError) return error.message;
    throw error;
  }
}

/** The JSON Schema of the values that `schema` accepts. */
export function jsonTypeOf(schema: v.GenericSchema<string, unknown>): JsonType {
  const { json } = v.getMetadata(schema);
  return typeof json === "object" && json !== null ? { ...json } : { type: "string" };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** `500ms`, `10s`, `5m`, `1.5h`, `2d` in milliseconds. */
export const duration: v.GenericSchema<string, number> = v.pipe(
  v.string(),
  v.regex(DURATION, "takes a duration such as 500ms, 10s, 5m, 1h or 2d"),
  v.transform((typed) => readDuration(typed) ?? 0),
);

/** In milliseconds; undefined if `typed` is no duration. */
function readDuration(typed: string): number | undefined {
  const [, count, unit = ""] = DURATION.exec(typed) ?? [];
  return count === undefined ? undefined : Math.round(Number(count) * (UNIT_MS[unit] ?? 1));
}

/** The part of one process, of several that together copy everything (`--shard`). */
export interface Shard {
  /** 0 to `of` - 1. */
  readonly index: number;
  readonly of: number;
}

const SHARD = /^(\d{1,4})\/([1-9]\d{0,3})$/;
const TAKES_SHARD = "takes I/N, such as 0/4, 1/4, 2/4 and 3/4 for four processes";

/** `0/4` to `3/4`. */
export const shard: v.GenericSchema<string, Shard> = v.pipe(
  v.string(),
  v.regex(SHARD, TAKES_SHARD),
  v.transform((typed): Shard => {
    const [, index, of] = SHARD.exec(typed) ?? [];
    return { index: Number(index), of: Number(of) };
  }),
  v.check(({ index, of }) => index < of, TAKES_SHARD),
  v.metadata({ json: { type: "string", pattern: SHARD.source } }),
);

export function wholeNumber(least: number): v.GenericSchema<string, number> {
  const expected = `takes a whole number of at least ${least}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,15}$/, expected),
    v.transform(Number),
    v.minValue(least, expected),
    v.metadata({ json: { type: "integer", minimum: least } }),
  );
}

/** `50%` or `50`, as a number from 0 to 100. */
export const percent: v.GenericSchema<string, number> = v.pipe(
  v.string(),
  v.regex(/^\d{1,3}(\.\d+)?%?$/, "takes a percentage such as 50%"),
  v.transform((typed) => Number(typed.replace("%", ""))),
  v.maxValue(100, "takes a percentage of at most 100%"),
);

const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};
const SIZE = /^(\d+(?:\.\d+)?)(B|[kK]B|MB|GB|KiB|MiB|GiB)$/;

/** `256MB`, `1GiB` in bytes. */
export const size: v.GenericSchema<string, number> = v.pipe(
  v.string(),
  v.regex(SIZE, "takes a size such as 256MB or 1GiB"),
  v.transform((typed) => {
    const [, count = "0", unit = "B"] = SIZE.exec(typed) ?? [];
    return Math.round(Number(count) * (UNIT_BYTES[unit] ?? 1));
  }),
);

/** Bytes per second. At a lower rate, a single reply would take up seconds (pipeline/throttle.ts). */
const MIN_RATE = 100_000;

/** Bytes per second. */
export const rate: v.GenericSchema<string, number> = v.pipe(
  size,
  v.minValue(MIN_RATE, "takes a size of at least 100kB, which is for a second"),
);

/** What to do with a document that cannot be carried. `file` is the quarantine file. */
export type OnBadDocument =
  | { readonly policy: "fail" | "skip" }
  | { readonly policy: "quarantine"; readonly file: string };

export const badDocumentPolicy: v.GenericSchema<string, OnBadDocument> = v.pipe(
  v.string(),
  v.regex(/^(fail|skip|quarantine=.+)$/, "takes fail, skip or quarantine=FILE"),
  v.transform((typed): OnBadDocument => {
    if (typed === "fail" || typed === "skip") return { policy: typed };
    return { policy: "quarantine", file: typed.slice(typed.indexOf("=") + 1) };
  }),
);

/** Where a tail begins. `seconds` since 1970; `data` is the `_data` of a resume token. */
export type StartAt =
  | { readonly kind: "now" }
  | { readonly kind: "time"; readonly seconds: number }
  /** Milliseconds before the server's time at the start of the run. */
  | { readonly kind: "ago"; readonly ms: number }
  | { readonly kind: "token"; readonly data: string };

const EXPECTED =
  "takes now, an ISO date such as 2026-01-31T12:00:00Z, seconds since 1970, a duration such as 1h for an hour ago, or a resume token";

export const startAt: v.GenericSchema<string, StartAt> = v.pipe(
  v.string(),
  v.check((typed) => readStartAt(typed) !== undefined, EXPECTED),
  v.transform((typed): StartAt => readStartAt(typed) ?? { kind: "now" }),
);

function readStartAt(typed: string): StartAt | undefined {
  if (typed === "now") return { kind: "now" };
  const ms = readDuration(typed);
  if (ms !== undefined) return { kind: "ago", ms };
  if (/^\d{9,10}$/.test(typed)) return { kind: "time", seconds: Number(typed) };
  if (/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(typed)) {
    const seconds = Math.floor(Date.parse(typed) / 1000);
    return Number.isFinite(seconds) && seconds > 0 ? { kind: "time", seconds } : undefined;
  }
  const data = /^\{\s*"_data"\s*:\s*"([0-9a-fA-F]+)"\s*\}$/.exec(typed)?.[1] ?? typed;
  return /^82[0-9a-fA-F]{18,}$/.test(data) ? { kind: "token", data } : undefined;
}
