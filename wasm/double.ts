/**
 * Doubles as the shortest decimal that reads back as the same double.
 * Raffaello Giulietti: The Schubfach way to render doubles, https://drive.google.com/file/d/1IEeATSVnEE6TkrHlCYNY2GjaraBjOT4f
 */

import { writeTwo, writeUint64 } from "./digits";

/** 10^-292 … 10^324 as 128 bits each, rounded up, low half first: filled in by whoever makes the instance. */
export const POWERS = memory.data(617 * 16);
const SCRATCH = memory.data(48);

/** The high half of a product of 64 bits by 64 bits. */
@inline
function multiplyHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const mid = a1 * b0 + ((a0 * b0) >> 32);
  return a1 * b1 + (mid >> 32) + ((a0 * b1 + (mid & 0xffffffff)) >> 32);
}

/** The upper 64 of 192 bits of power × factor, its lowest bit set where anything was cut off. */
@inline
function roundToOdd(low: u64, high: u64, factor: u64): u64 {
  const carried = multiplyHigh(low, factor);
  const middle = high * factor + carried;
  const top = multiplyHigh(high, factor) + (middle < carried ? 1 : 0);
  return top | (middle > 1 ? 1 : 0);
}

/** Of `significand` × 2^`exponent`; `isEdge`: the next lower double is only half as far away as the next higher one. */
@inline
function writeShortest(to: usize, significand: u64, exponent: i32, isEdge: bool): usize {
  const odd = significand & 1;
  const left = 4 * significand - 2 + (isEdge ? 1 : 0);
  const right = 4 * significand + 2;
  const k = (exponent * 1262611 - (isEdge ? 524031 : 0)) >> 22;
  const shift = (exponent + ((-k * 1741647) >> 19) + 1) as u64;
  const power = POWERS + (((292 - k) as usize) << 4);
  const low = load<u64>(power);
  const high = load<u64>(power, 8);
  const lower = roundToOdd(low, high, left << shift) + odd;
  const middle = roundToOdd(low, high, (4 * significand) << shift);
  const upper = roundToOdd(low, high, right << shift) - odd;
  const digits = middle >> 2;
  if (digits >= 10) {
    const shorter = digits / 10;
    const isUnder = lower <= 40 * shorter;
    const isOver = 40 * shorter + 40 <= upper;
    if (isUnder != isOver) return writeScaled(to, shorter + (isOver ? 1 : 0), k + 1);
  }
  const isUnder = lower <= 4 * digits;
  const isOver = 4 * digits + 4 <= upper;
  if (isUnder != isOver) return writeScaled(to, digits + (isOver ? 1 : 0), k);
  const half = 4 * digits + 2;
  const isUp = middle > half || (middle == half && (digits & 1) == 1);
  return writeScaled(to, digits + (isUp ? 1 : 0), k);
}

/**
 * `digits` × 10^`exponent` as Go's format 'G' with the shortest precision, and `.0` behind whole numbers: that is what
 * the BSON corpus and mongoexport print.
 */
function writeScaled(to: usize, digits: u64, exponent: i32): usize {
  while (true) {
    const shorter = digits / 10;
    if (shorter * 10 != digits) break;
    digits = shorter;
    exponent++;
  }
  const count = (writeUint64(SCRATCH, digits) - SCRATCH) as i32;
  const scientific = exponent + count - 1;
  const text0 = v128.load(SCRATCH);
  if (scientific < -4 || scientific >= 6) {
    store<u8>(to, load<u8>(SCRATCH));
    let end = to + 1;
    if (count > 1) {
      store<u8>(to + 1, 0x2e);
      v128.store(to, v128.load(SCRATCH + 1), 2);
      end = to + 1 + (count as usize);
    }
    store<u16>(end, scientific < 0 ? 0x2d45 : 0x2b45);
    const power = abs<i32>(scientific) as u32;
    end += 2;
    if (power < 100) {
      writeTwo(end, power);
      return end + 2;
    }
    store<u8>(end, (0x30 + power / 100) as u8);
    writeTwo(end + 1, power % 100);
    return end + 3;
  }
  if (scientific < 0) {
    // 0.000123: at most three zeros behind the point.
    store<u64>(to, 0x303030302e30);
    to += (1 - scientific) as usize;
    v128.store(to, text0);
    store<u8>(to + 16, load<u8>(SCRATCH + 16));
    return to + (count as usize);
  }
  const whole = scientific + 1;
  if (whole >= count) {
    // At most six digits, filled up with zeros.
    store<u64>(to, 0x3030303030303030);
    memory.copy(to, SCRATCH, count as usize);
    store<u16>(to + (whole as usize), 0x302e);
    return to + (whole as usize) + 2;
  }
  v128.store(to, text0);
  store<u8>(to + (whole as usize), 0x2e);
  v128.store(to + (whole as usize) + 1, v128.load(SCRATCH + (whole as usize)));
  return to + (count as usize) + 1;
}

/** A finite double. */
export function writeDouble(to: usize, value: f64): usize {
  const bits = reinterpret<u64>(value);
  store<u8>(to, 0x2d);
  to += (bits >> 63) as usize;
  const magnitude = abs<f64>(value);
  if (magnitude < 1e6) {
    const whole = magnitude as u32;
    if ((whole as f64) == magnitude) {
      to = writeUint64(to, whole as u64);
      store<u16>(to, 0x302e);
      return to + 2;
    }
    // Cents: exact when dividing gives the same double, and then there is no shorter decimal than this one less zeros.
    const cents = nearest<f64>(magnitude * 100);
    if (cents / 100 == magnitude) {
      const hundredths = cents as u32;
      const units = hundredths / 100;
      const rest = hundredths - units * 100;
      to = writeUint64(to, units as u64);
      store<u8>(to, 0x2e);
      writeTwo(to + 1, rest);
      return to + 3 - (rest % 10 == 0 ? 1 : 0);
    }
  }
  const significand = bits & 0xfffffffffffff;
  const exponent = ((bits >> 52) & 0x7ff) as i32;
  if (exponent == 0) return writeShortest(to, significand, -1074, false);
  return writeShortest(to, significand | 0x10000000000000, exponent - 1075, significand == 0 && exponent > 1);
}
