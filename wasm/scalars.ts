/** Values whose form depends on the format. */

import { writeBase64 } from "./base64.ts";
import { writeDate, YEAR_10000 } from "./date.ts";
import { writeHex1, writeInt64 } from "./digits.ts";
import { writeDouble } from "./double.ts";
import { CANONICAL, PLAIN } from "./flags.ts";
import { BINARY, DATE, DATE_LONG, DOUBLE, put, SUBTYPE } from "./wrappers.ts";

/** A double in the form that `flags` asks for. */
// @inline
export function putDouble(to: usize, value: f64, flags: u32): usize {
  if (value - value === 0) {
    if (!(flags & CANONICAL)) return writeDouble(to, value);
    to = writeDouble(put(to, DOUBLE, 18), value);
  } else {
    to = flags & PLAIN ? put(to, DOUBLE + 17, 1) : put(to, DOUBLE, 18);
    if (value !== value) {
      store<u32>(to, 0x4e614e); // NaN
      to += 3;
    } else {
      store<u8>(to, 0x2d);
      to += value < 0 ? 1 : 0;
      store<u64>(to, 0x7974696e69666e49); // Infinity
      to += 8;
    }
    if (flags & PLAIN) {
      store<u8>(to, 0x22);
      return to + 1;
    }
  }
  store<u16>(to, 0x7d22); // "}
  return to + 2;
}

/** A date in the form that `flags` asks for; 0 where the slow walk knows better. */
// @inline
export function putDate(to: usize, ms: i64, flags: u32): usize {
  const isUsual = ms >= 0 && ms < YEAR_10000;
  if (flags & PLAIN) {
    if (!isUsual) return 0;
    store<u8>(to, 0x22);
    to = writeDate(to + 1, ms, true);
    store<u8>(to, 0x22);
    return to + 1;
  }
  if (isUsual && !(flags & CANONICAL)) {
    to = writeDate(put(to, DATE, 10), ms, false);
    store<u16>(to, 0x7d22); // "}
    return to + 2;
  }
  to = writeInt64(put(to, DATE_LONG, 25), ms);
  store<u32>(to, 0x7d7d22); // "}}
  return to + 3;
}

/** A binary of `length` bytes at `at`, which begins with its subtype. */
// @inline
export function putBinary(to: usize, at: usize, length: usize, flags: u32): usize {
  const subtype = load<u8>(at) as u32;
  const begin = subtype === 2 ? at + 5 : at + 1;
  if (flags & PLAIN) {
    store<u8>(to, 0x22);
    to = writeBase64(to + 1, begin, at + 1 + length);
    store<u8>(to, 0x22);
    return to + 1;
  }
  to = writeBase64(put(to, BINARY, 22), begin, at + 1 + length);
  to = writeHex1(put(to, SUBTYPE, 13), subtype);
  store<u32>(to, 0x7d7d22); // "}}
  return to + 3;
}
