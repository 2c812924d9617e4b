/**
 * Doubles as the shortest decimal that reads back as the same double.
 * Raffaello Giulietti: The Schubfach way to render doubles, https://drive.google.com/file/d/1IEeATSVnEE6TkrHlCYNY2GjaraBjOT4f
 */

import { ASCII_ZEROS, eight, multiplyHigh, writeTwo, writeUint64 } from "./digits.ts";

/** 10^-292 … 10^324 as 128 bits each, rounded up, low half first. src/codec/kernel.ts fills it. */
export const POWERS = memory.data(617 * 16);

/** 10^0 … 10^17. */
const TENS = memory.data(18 * 8);

/** Fills TENS. */
export function prepareDoubles(): void {
  let power: u64 = 1;
  for (let exponent: usize = 0; exponent < 18; exponent++) {
    store<u64>(TENS + (exponent << 3), power);
    power *= 10;
  }
}

/** Writes `significand` × 2^`exponent`. `isEdge`: the next lower double is half as far away as the next higher one. */
function writeShortest(to: usize, significand: u64, exponent: i32, isEdge: bool): usize {
  const odd = significand & 1;
  const k = (exponent * 1262611 - (isEdge ? 524031 : 0)) >> 22;
  const shift = (exponent + ((-k * 1741647) >> 19) + 1) as u64;
  const power = POWERS + (((292 - k) as usize) << 4);
  const low = load<u64>(power);
  const high = load<u64>(power, 8);

  // The double itself: power × 4 significand, 192 bits. Only the upper 64 bits of each product are kept; the lowest of
  // them is set if a lower bit was.
  const factor = (4 * significand) << shift;
  const p0 = low * factor;
  const carried = multiplyHigh(low, factor);
  const p1 = high * factor + carried;
  const p2 = multiplyHigh(high, factor) + (p1 < carried ? 1 : 0);
  const middle = p2 | (p1 > 1 ? 1 : 0);

  // Half way to the next higher one: power × (4 significand + 2).
  const more = shift + 1;
  const s0 = low << more;
  const s1 = (high << more) | (low >> (64 - more));
  const s2 = high >> (64 - more);
  const u0 = p0 + s0;
  const c0 = (u0 < p0 ? 1 : 0) as u64;
  const t1 = p1 + s1;
  const u1 = t1 + c0;
  const u2 = p2 + s2 + (t1 < p1 ? 1 : 0) + (u1 < t1 ? 1 : 0);
  const upper = (u2 | (u1 > 1 ? 1 : 0)) - odd;

  // Half way to the next lower one: power × (4 significand - 2), or - 1 at an edge.
  const less = isEdge ? shift : more;
  const d0 = low << less;
  const d1 = (high << less) | (low >> (64 - less));
  const d2 = high >> (64 - less);
  const b0 = (p0 < d0 ? 1 : 0) as u64;
  const l1 = p1 - d1;
  const v1 = l1 - b0;
  const v2 = p2 - d2 - (p1 < d1 ? 1 : 0) - (l1 < b0 ? 1 : 0);
  const lower = (v2 | (v1 > 1 ? 1 : 0)) + odd;

  const digits = middle >> 2;
  if (digits >= 10) {
    const shorter = digits / 10;
    const isUnder = lower <= 40 * shorter;
    const isOver = 40 * shorter + 40 <= upper;
    if (isUnder !== isOver) return writeScaled(to, shorter + (isOver ? 1 : 0), k + 1);
  }
  const isUnder = lower <= 4 * digits;
  const isOver = 4 * digits + 4 <= upper;
  if (isUnder !== isOver) return writeScaled(to, digits + (isOver ? 1 : 0), k);
  const half = 4 * digits + 2;
  const isUp = middle > half || (middle === half && (digits & 1) === 1);
  return writeScaled(to, digits + (isUp ? 1 : 0), k);
}

/**
 * `value` × 10^`exponent`, up to 17 digits, as Go's format 'G' with the shortest precision, and `.0` after whole
 * numbers, as the BSON corpus and mongoexport print it.
 */
function writeScaled(to: usize, value: u64, exponent: i32): usize {
  // The number of digits: log2 times log10(2), or one more.
  const guess = ((64 - (clz<u64>(value) as i32)) * 1233) >> 12;
  const digits = guess + (value >= load<u64>(TENS + ((guess as usize) << 3)) ? 1 : 0);
  const scientific = exponent + digits - 1;

  // 17 digits, padded with zeros: one, eight, eight.
  const all = value * load<u64>(TENS + (((17 - digits) as usize) << 3));
  const front = (all / 100000000) as u32;
  const first = front / 100000000;
  const middle = eight(front - first * 100000000);
  const last = eight((all - (front as u64) * 100000000) as u32);
  // The lowest digit is in the highest byte.
  const zeros = last !== 0 ? clz<u64>(last) >> 3 : middle !== 0 ? 8 + (clz<u64>(middle) >> 3) : 16;
  const count = 17 - (zeros as i32);

  if (scientific < -4 || scientific >= 6) {
    store<u16>(to, (0x2e30 + first) as u16);
    store<u64>(to, middle | ASCII_ZEROS, 2);
    store<u64>(to, last | ASCII_ZEROS, 10);
    return writeExponent((to + (count === 1 ? 1 : count + 1)) as usize, scientific);
  }
  if (scientific < 0) {
    // 0.000123: at most three zeros after the point.
    store<u64>(to, 0x303030302e30);
    to += (1 - scientific) as usize;
    store<u8>(to, 0x30 + first);
    store<u64>(to, middle | ASCII_ZEROS, 1);
    store<u64>(to, last | ASCII_ZEROS, 9);
    return to + (count as usize);
  }
  store<u8>(to, 0x30 + first);
  store<u64>(to, middle | ASCII_ZEROS, 1);
  to += scientific as usize;
  store<u8>(to, 0x2e, 1);
  store<u64>(to, (middle | ASCII_ZEROS) >> ((scientific as u64) << 3), 2);
  store<u64>(to + 10 - (scientific as usize), last | ASCII_ZEROS);
  // At least one digit after the point.
  return (to + (max<i32>(count - scientific, 2) + 1)) as usize;
}

/** `E` and at least two digits. */
// @inline
function writeExponent(to: usize, exponent: i32): usize {
  store<u16>(to, exponent < 0 ? 0x2d45 : 0x2b45);
  const power = abs<i32>(exponent) as u32;
  to += 2;
  if (power < 100) {
    writeTwo(to, power);
    return to + 2;
  }
  store<u8>(to, (0x30 + power / 100) as u8);
  writeTwo(to + 1, power % 100);
  return to + 3;
}

/** A finite double. */
export function writeDouble(to: usize, value: f64): usize {
  const bits = reinterpret<u64>(value);
  store<u8>(to, 0x2d);
  to += (bits >> 63) as usize;
  const magnitude = abs<f64>(value);
  if (magnitude < 1e6) {
    const whole = magnitude as u32;
    if ((whole as f64) === magnitude) {
      to = writeUint64(to, whole as u64);
      store<u16>(to, 0x302e);
      return to + 2;
    }
    // Cents: exact if the division gives the same double. Then this decimal, without trailing zeros, is the shortest.
    const cents = nearest<f64>(magnitude * 100);
    if (cents / 100 === magnitude) {
      const hundredths = cents as u32;
      const units = hundredths / 100;
      const rest = hundredths - units * 100;
      to = writeUint64(to, units as u64);
      store<u8>(to, 0x2e);
      writeTwo(to + 1, rest);
      return to + 3 - (rest % 10 === 0 ? 1 : 0);
    }
  } else if (magnitude < 9007199254740992) {
    const whole = magnitude as u64;
    if ((whole as f64) === magnitude) return writeScaled(to, whole, 0);
  }
  const significand = bits & 0xfffffffffffff;
  const exponent = ((bits >> 52) & 0x7ff) as i32;
  if (exponent === 0) return writeShortest(to, significand, -1074, false);
  return writeShortest(to, significand | 0x10000000000000, exponent - 1075, significand === 0 && exponent > 1);
}
