/** Dates (int64 milliseconds since 1970) as ISO 8601 text, over the full range of int64, which `Date` does not cover. */

import { readInt32, readUint32 } from "./bson.ts";
import { writeFixed, writeUint } from "./numbers.ts";

const DAY_MS = 86_400_000;
/** Days from 0000-03-01 (proleptic Gregorian) to 1970-01-01. Years that begin in March end with the leap day. */
const DAYS_BEFORE_1970 = 719_468;
const DAYS_PER_400_YEARS = 146_097;
/** 10000-01-01, in milliseconds since 1970. */
const YEAR_10000_MS = 253_402_300_800_000;

/** At least what writeDate writes: `+292278994-08-17T07:12:55.807Z` has 30 bytes. */
export const MAX_DATE_BYTES = 32;

/**
 * Whether the date at `at` lies in 1970 … 9999: relaxed Extended JSON writes only these as ISO 8601.
 * https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
 */
export function isIsoDate(bytes: Uint8Array, at: number): boolean {
  const high = readInt32(bytes, at + 4);
  return high >= 0 && high * 0x100000000 + readUint32(bytes, at) < YEAR_10000_MS;
}

/**
 * Writes the date at `at` as `1970-01-01T00:00:00.000Z` and returns the index behind it. Without `hasZeroFraction` a
 * fraction of `.000` is left out, as in Extended JSON v2. Years outside 0 … 9999 have a sign and at least six digits, as
 * in JavaScript.
 */
export function writeDate(
  out: Uint8Array,
  to: number,
  bytes: Uint8Array,
  at: number,
  hasZeroFraction: boolean,
): number {
  // Reduce the high half to days first: a double does not hold every int64 exactly.
  const high = readInt32(bytes, at + 4);
  const low = readUint32(bytes, at);
  const highMs = high * 0x100000000;
  let days = Math.floor(highMs / DAY_MS);
  let ms = highMs - days * DAY_MS + low;
  if (Math.abs(high) >= 0x200000) [days, ms] = splitFarDate(high, low);
  const carriedDays = Math.floor(ms / DAY_MS);
  days += carriedDays;
  ms -= carriedDays * DAY_MS;
  to = writeDay(out, to, days);
  out[to++] = 0x54;
  return writeTime(out, to, ms, hasZeroFraction);
}

/** Splits a date that a double cannot hold exactly into days and the milliseconds of the last day. */
function splitFarDate(high: number, low: number): [days: number, ms: number] {
  const ms = (BigInt(high) << 32n) | BigInt(low);
  const rest = ((ms % 86_400_000n) + 86_400_000n) % 86_400_000n;
  return [Number((ms - rest) / 86_400_000n), Number(rest)];
}

function writeDay(out: Uint8Array, to: number, daysSince1970: number): number {
  // http://howardhinnant.github.io/date_algorithms.html#civil_from_days
  const days = daysSince1970 + DAYS_BEFORE_1970;
  const era = Math.floor(days / DAYS_PER_400_YEARS);
  const dayOfEra = days - era * DAYS_PER_400_YEARS;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  to = writeYear(out, to, year);
  out[to++] = 0x2d;
  to = writeFixed(out, to, month, 2);
  out[to++] = 0x2d;
  return writeFixed(out, to, day, 2);
}

function writeYear(out: Uint8Array, to: number, year: number): number {
  if (year >= 0 && year <= 9999) return writeFixed(out, to, year, 4);
  out[to++] = year < 0 ? 0x2d : 0x2b;
  const distance = Math.abs(year);
  return distance < 1_000_000 ? writeFixed(out, to, distance, 6) : writeUint(out, to, distance);
}

function writeTime(out: Uint8Array, to: number, ms: number, hasZeroFraction: boolean): number {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  to = writeFixed(out, to, Math.floor(minutes / 60), 2);
  out[to++] = 0x3a;
  to = writeFixed(out, to, minutes % 60, 2);
  out[to++] = 0x3a;
  to = writeFixed(out, to, seconds % 60, 2);
  if (hasZeroFraction || ms % 1000 !== 0) {
    out[to++] = 0x2e;
    to = writeFixed(out, to, ms % 1000, 3);
  }
  out[to++] = 0x5a;
  return to;
}
