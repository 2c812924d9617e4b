/** Decimal128 as text: https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md */

import { writeInt32, writeUint64, writeEight } from "./digits.ts";

const SCRATCH = memory.data(64);

/** Writes the digits of a significand of 113 bits to SCRATCH and returns their number. */
function writeSignificand(low: u64, high: u64): i32 {
  if (high === 0) return (writeUint64(SCRATCH, low) - SCRATCH) as i32;
  // Four limbs of 32 bits, divided by 10^8 from the top until nothing is left.
  let a = high >> 32;
  let b = high & 0xffffffff;
  let c = low >> 32;
  let d = low & 0xffffffff;
  let end: usize = SCRATCH + 40;
  while ((a | b | c) !== 0 || d >= 100000000) {
    const base: u64 = 100000000;
    b |= (a % base) << 32;
    a /= base;
    c |= (b % base) << 32;
    b /= base;
    d |= (c % base) << 32;
    c /= base;
    end -= 8;
    writeEight(end, (d % base) as u32);
    d /= base;
  }
  // `d` holds the first digits: they go before the others.
  const tail = SCRATCH + 40 - end;
  const first = writeUint64(SCRATCH + 48, d) - (SCRATCH + 48);
  memory.copy(SCRATCH + first, end, tail);
  memory.copy(SCRATCH, SCRATCH + 48, first);
  return (first + tail) as i32;
}

// @inline
function copy(to: usize, from: usize, count: usize): usize {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  return to + count;
}

/** Writes the decimal128 at `at` and returns where it stopped. Up to 48 bytes after that are overwritten. */
export function writeDecimal128(to: usize, at: usize): usize {
  let low = load<u64>(at);
  const top = load<u64>(at, 8);
  if ((top & 0x7c00000000000000) === 0x7c00000000000000) {
    store<u32>(to, 0x4e614e); // NaN
    return to + 3;
  }
  store<u8>(to, 0x2d);
  to += (top >> 63) as usize;
  if ((top & 0x7c00000000000000) === 0x7800000000000000) {
    store<u64>(to, 0x7974696e69666e49); // Infinity
    return to + 8;
  }
  const isLarge = (top & 0x6000000000000000) === 0x6000000000000000;
  const exponent = (((isLarge ? top >> 47 : top >> 49) & 0x3fff) as i32) - 6176;
  let high = isLarge ? 0 : top & 0x1ffffffffffff;
  // A significand of more than 34 digits is not canonical and counts as zero.
  if (isLarge || high > 0x1ed09bead87c0 || (high === 0x1ed09bead87c0 && low > 0x378d8e63ffffffff)) {
    low = 0;
    high = 0;
  }
  return writeScaled(to, writeSignificand(low, high), exponent);
}

/** Writes the `count` digits in SCRATCH, × 10^exponent. */
function writeScaled(to: usize, count: i32, exponent: i32): usize {
  const scientific = exponent + count - 1;
  if (exponent > 0 || scientific < -6) {
    store<u8>(to++, load<u8>(SCRATCH));
    if (count > 1) {
      store<u8>(to, 0x2e);
      to = copy(to + 1, SCRATCH + 1, (count - 1) as usize);
    }
    store<u16>(to, 0x2b45);
    return writeInt32(to + (scientific >= 0 ? 2 : 1), scientific);
  }
  const whole = count + exponent;
  if (whole > 0) {
    if (exponent === 0) return copy(to, SCRATCH, count as usize);
    to = copy(to, SCRATCH, whole as usize);
    store<u8>(to, 0x2e);
    return copy(to + 1, SCRATCH + (whole as usize), -exponent as usize);
  }
  store<u64>(to, 0x3030303030302e30); // 0.000000
  return copy(to + 2 - (whole as isize), SCRATCH, count as usize);
}
