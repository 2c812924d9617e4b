/** Dates from 1970 to 9999 as ISO 8601. */

import { writeTwo } from "./digits.ts";

/** The first millisecond of the year 10000. */
export const YEAR_10000: i64 = 253402300800000;

/** Writes `ms`, which must be 0 … YEAR_10000 - 1, and returns where it stopped. Writes a fraction of zero only `withFraction`. */
export function writeDate(to: usize, ms: i64, withFraction: bool): usize {
  const day = (ms as u64) / 86400000;
  const rest = ((ms as u64) - day * 86400000) as u32;
  // Neri, Schneider: Euclidean affine functions and their application to calendar algorithms,
  // https://onlinelibrary.wiley.com/doi/full/10.1002/spe.3172. Years begin in March, days count from the year 0.
  const quarters = 4 * ((day as u32) + 719468) + 3;
  const centuries = quarters / 146097;
  const product = 2939745 * (((quarters - centuries * 146097) | 3) as u64);
  const dayOfYear = (product as u32) / 2939745 / 4;
  const monthAndDay = 2141 * dayOfYear + 197913;
  const isNextYear: u32 = dayOfYear >= 306 ? 1 : 0;
  const year = 100 * centuries + ((product >> 32) as u32) + isNextYear;
  const month = (monthAndDay >> 16) - 12 * isNextYear;
  const century = year / 100;
  writeTwo(to, century);
  writeTwo(to + 2, year - century * 100);
  store<u8>(to + 4, 0x2d);
  writeTwo(to + 5, month);
  store<u8>(to + 7, 0x2d);
  writeTwo(to + 8, (monthAndDay & 0xffff) / 2141 + 1);
  store<u8>(to + 10, 0x54);
  const seconds = rest / 1000;
  const fraction = rest - seconds * 1000;
  const minutes = seconds / 60;
  const hours = minutes / 60;
  writeTwo(to + 11, hours);
  store<u8>(to + 13, 0x3a);
  writeTwo(to + 14, minutes - hours * 60);
  store<u8>(to + 16, 0x3a);
  writeTwo(to + 17, seconds - minutes * 60);
  to += 19;
  if (withFraction || fraction !== 0) {
    const tenths = fraction / 100;
    store<u16>(to, (0x2e | ((0x30 + tenths) << 8)) as u16);
    writeTwo(to + 2, fraction - tenths * 100);
    to += 4;
  }
  store<u8>(to, 0x5a);
  return to + 1;
}
