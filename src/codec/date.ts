/** Milliseconds since 1970 as ISO 8601 text, by arithmetic: the Gregorian calendar over the full range of int64. */

import { readInt32, readUint32 } from "./bson.ts";
import { writeFixed, writeUint } from "./numbers.ts";

const DAY_MS = 86_400_000;
/** 0000-03-01 of the proleptic Gregorian calendar, in days before 1970: years that begin in March end in the leap day. */
const MARCH_0000 = 719_468;
const DAYS_OF_400_YEARS = 146_097;
/** The first millisecond of the year 10000. */
const YEAR_10000 = 253_402_300_800_000;

/** The most bytes that writeDate writes: `+292278994-08-17T07:12:55.807Z` and to spare. */
export const DATE_BYTES = 32;

/** Whether Extended JSON v2 relaxed writes this date as ISO 8601: from 1970 to 9999. */
export function isIsoDate(bytes: Uint8Array, at: number): boolean {
  const high = readInt32(bytes, at + 4);
  return high >= 0 && high * 0x100000000 + readUint32(bytes, at) < YEAR_10000;
}

/**
 * Writes the int64 of milliseconds at `at` as `1970-01-01T00:00:00.000Z` and returns where it stopped. Without
 * `fraction`, three zeros behind the point are left out with it, as Extended JSON v2 wants it. Years outside 0 … 9999
 * are written as JavaScript and ISO 8601 do: with a sign and at least six digits.
 */
export function writeDate(out: Uint8Array, to: number, bytes: Uint8Array, at: number, fraction: boolean): number {
  // The high half in days and the rest of them first: a double is exact for all int64 only when split.
  const high = readInt32(bytes, at + 4);
  const low = readUint32(bytes, at);
  const highMs = high * 0x100000000;
  let days = Math.floor(highMs / DAY_MS);
  let ms = highMs - days * DAY_MS + low;
  if (Math.abs(high) >= 0x200000) [days, ms] = splitFar(high, low);
  const more = Math.floor(ms / DAY_MS);
  days += more;
  ms -= more * DAY_MS;
  to = writeDay(out, to, days);
  out[to++] = 0x54;
  return writeTime(out, to, ms, fraction);
}

/** Days and milliseconds of a date that no double holds exactly. */
function splitFar(high: number, low: number): [days: number, ms: number] {
  const ms = (BigInt(high) << 32n) | BigInt(low);
  const rest = ((ms % 86_400_000n) + 86_400_000n) % 86_400_000n;
  return [Number((ms - rest) / 86_400_000n), Number(rest)];
}

function writeDay(out: Uint8Array, to: number, daysSince1970: number): number {
  // http://howardhinnant.github.io/date_algorithms.html#civil_from_days
  const days = daysSince1970 + MARCH_0000;
  const era = Math.floor(days / DAYS_OF_400_YEARS);
  const dayOfEra = days - era * DAYS_OF_400_YEARS;
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

function writeTime(out: Uint8Array, to: number, ms: number, fraction: boolean): number {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  to = writeFixed(out, to, Math.floor(minutes / 60), 2);
  out[to++] = 0x3a;
  to = writeFixed(out, to, minutes % 60, 2);
  out[to++] = 0x3a;
  to = writeFixed(out, to, seconds % 60, 2);
  if (fraction || ms % 1000 !== 0) {
    out[to++] = 0x2e;
    to = writeFixed(out, to, ms % 1000, 3);
  }
  out[to++] = 0x5a;
  return to;
}
