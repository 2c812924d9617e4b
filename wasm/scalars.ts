/** Values of one type each, in the form that `flags` ask for. Each function writes to `to` and returns where it stopped. */

import { writeBase64 } from "./base64.ts";
import { writeDate, YEAR_10000 } from "./date.ts";
import { writeDecimal128 } from "./decimal.ts";
import { writeHex1, writeHex12, writeInt32, writeInt64, writeUint64 } from "./digits.ts";
import { writeDouble } from "./double.ts";
import { CANONICAL, PLAIN } from "./flags.ts";
import { BINARY, DATE, DATE_LONG, DECIMAL, DOUBLE, INT, LONG, OID, put, SUBTYPE, TIMESTAMP } from "./wrappers.ts";

// @inline
export function putNull(to: usize): usize {
  store<u32>(to, 0x6c6c756e); // null
  return to + 4;
}

// @inline
export function putBoolean(to: usize, value: u32): usize {
  store<u64>(to, value ? 0x65757274 : 0x65736c6166); // true, false
  return to + (value ? 4 : 5);
}

// @inline
export function putInt32(to: usize, value: i32, flags: u32): usize {
  if (!(flags & CANONICAL)) return writeInt32(to, value);
  to = writeInt32(put(to, INT, 15), value);
  store<u16>(to, 0x7d22); // "}
  return to + 2;
}

// @inline
export function putInt64(to: usize, value: i64, flags: u32): usize {
  if (!(flags & CANONICAL)) return writeInt64(to, value);
  to = writeInt64(put(to, LONG, 16), value);
  store<u16>(to, 0x7d22); // "}
  return to + 2;
}

/** An ObjectId: the first 12 of `bytes`. */
// @inline
export function putObjectId(to: usize, bytes: v128, flags: u32): usize {
  if (flags & PLAIN) {
    store<u8>(to, 0x22);
    to = writeHex12(to + 1, bytes);
    store<u8>(to, 0x22);
    return to + 1;
  }
  to = writeHex12(put(to, OID, 9), bytes);
  store<u16>(to, 0x7d22); // "}
  return to + 2;
}

/** The decimal128 at `at`. */
// @inline
export function putDecimal128(to: usize, at: usize, flags: u32): usize {
  if (flags & PLAIN) {
    store<u8>(to, 0x22);
    to = writeDecimal128(to + 1, at);
    store<u8>(to, 0x22);
    return to + 1;
  }
  to = writeDecimal128(put(to, DECIMAL, 19), at);
  store<u16>(to, 0x7d22); // "}
  return to + 2;
}

// @inline
export function putTimestamp(to: usize, seconds: u32, increment: u32): usize {
  to = writeUint64(put(to, TIMESTAMP, 19), seconds);
  store<u32>(to, 0x2269222c); // ,"i"
  store<u8>(to, 0x3a, 4); // :
  to = writeUint64(to + 5, increment);
  store<u16>(to, 0x7d7d); // }}
  return to + 2;
}

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

/** A date. Returns 0 if walk.ts must write it: a year before 1970 or after 9999, in plain JSON. */
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

/** A binary of `length` bytes. Its subtype is at `at`, its bytes follow. */
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
