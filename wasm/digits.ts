/** Integers and hex as ASCII. Every function writes to `to` and returns where it stopped; up to 16 bytes after that are overwritten. */

export const ASCII_ZEROS: u64 = 0x3030303030303030;

/** Eight digits, one in each byte (0 … 9), the highest digit in the lowest byte. */
// @inline
export function eight(value: u32): u64 {
  const high = value / 10000;
  const merged = (high as u64) | (((value - high * 10000) as u64) << 32);
  const hundreds = ((merged * 10486) >> 20) & 0x7f0000007f;
  const pairs = ((merged - 100 * hundreds) << 16) + hundreds;
  const tens = ((pairs * 103) >> 10) & 0x000f000f000f000f;
  return tens + ((pairs - 10 * tens) << 8);
}

// @inline
export function writeEight(to: usize, value: u32): usize {
  store<u64>(to, eight(value) | ASCII_ZEROS);
  return to + 8;
}

/** A number below 10^8. */
// @inline
function writeShort(to: usize, value: u32): usize {
  const digits = eight(value);
  // Writes at least the last digit, for 0 too.
  const leading = ctz<u64>(digits | 0x0100000000000000) & 56;
  store<u64>(to, (digits | ASCII_ZEROS) >> leading);
  return to + 8 - ((leading >> 3) as usize);
}

/** The high 64 bits of the product of two 64-bit numbers. */
// @inline
export function multiplyHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const mid = a1 * b0 + ((a0 * b0) >> 32);
  return a1 * b1 + (mid >> 32) + ((a0 * b1 + (mid & 0xffffffff)) >> 32);
}

export function writeUint64(to: usize, value: u64): usize {
  if (value < 100000000) return writeShort(to, value as u32);
  const front = value / 100000000;
  const back = (value - front * 100000000) as u32;
  if (front < 100000000) return writeEight(writeShort(to, front as u32), back);
  const first = front / 100000000;
  const middle = (front - first * 100000000) as u32;
  return writeEight(writeEight(writeShort(to, first as u32), middle), back);
}

// @inline
export function writeInt32(to: usize, value: i32): usize {
  if (value >= 0 && value < 100000000) return writeShort(to, value as u32);
  return writeInt64(to, value as i64);
}

export function writeInt64(to: usize, value: i64): usize {
  if (value >= 0) return writeUint64(to, value as u64);
  store<u8>(to, 0x2d);
  return writeUint64(to + 1, 0 - (value as u64));
}

/** Exactly two digits: 0 … 99. */
// @inline
export function writeTwo(to: usize, value: u32): void {
  const tens = (value * 103) >> 10;
  store<u16>(to, (((value - tens * 10) << 8) | tens | 0x3030) as u16);
}

/** The first 12 of 16 bytes as 24 lower-case hex digits. */
// @inline
export function writeHex12(to: usize, bytes: v128): usize {
  const hex = i8x16(0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66);
  const high = i8x16.swizzle(hex, i8x16.shr_u(bytes, 4));
  const low = i8x16.swizzle(hex, v128.and(bytes, i8x16.splat(15)));
  v128.store(to, i8x16.shuffle(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  v128.store(to, i8x16.shuffle(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), 16);
  return to + 24;
}

/** One byte as two lower-case hex digits. */
// @inline
export function writeHex1(to: usize, byte: u32): usize {
  const high = byte >> 4;
  const low = byte & 15;
  store<u8>(to, high + (high < 10 ? 0x30 : 0x57));
  store<u8>(to + 1, low + (low < 10 ? 0x30 : 0x57));
  return to + 2;
}
