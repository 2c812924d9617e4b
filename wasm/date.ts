/** Dates from 1970 to 9999 as ISO 8601. */

import { writeTwo } from "./digits";

/** The first millisecond of the year 10000. */
export const YEAR_10000: i64 = 253402300800000;

/** Writes milliseconds of 0 … YEAR_10000 and returns where it stopped; a fraction of zero only `withFraction`. */
export function writeDate(to: usize, ms: i64, withFraction: bool): usize {
  const day = (ms / 86400000) as u32;
  const rest = (ms - (day as i64) * 86400000) as u32;
  // http://howardhinnant.github.io/date_algorithms.html#civil_from_days, years begin in March
  const days = day + 719468;
  const era = days / 146097;
  const dayOfEra = days - era * 146097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const marchMonth = (5 * dayOfYear + 2) / 153;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const century = year / 100;
  writeTwo(to, century);
  writeTwo(to + 2, year - century * 100);
  store<u8>(to + 4, 0x2d);
  writeTwo(to + 5, month);
  store<u8>(to + 7, 0x2d);
  writeTwo(to + 8, dayOfYear - (153 * marchMonth + 2) / 5 + 1);
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
  if (withFraction || fraction != 0) {
    const tenths = fraction / 100;
    store<u16>(to, (0x2e | ((0x30 + tenths) << 8)) as u16);
    writeTwo(to + 2, fraction - tenths * 100);
    to += 4;
  }
  store<u8>(to, 0x5a);
  return to + 1;
}
