/** Integers, hex and base64 as ASCII digits in a byte buffer. Every function writes at `to` and returns where it stopped. */

const HEX_DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const BASE64_DIGITS = Uint8Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", (digit) =>
  digit.charCodeAt(0),
);

/** At most 11 bytes. */
export function writeInt32(out: Uint8Array, to: number, value: number): number {
  if (value >= 0) return writeUint(out, to, value);
  out[to] = 0x2d;
  return writeUint(out, to + 1, -value);
}

/** A whole number of 0 … 2^53, at most 16 bytes. */
export function writeUint(out: Uint8Array, to: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  return writeFixed(out, to, value, digits);
}

/** Exactly `digits` digits, with leading zeros. */
export function writeFixed(out: Uint8Array, to: number, value: number, digits: number): number {
  let rest = value;
  for (let at = to + digits - 1; at >= to; at--) {
    const next = Math.floor(rest / 10);
    out[at] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return to + digits;
}

/** The int64 of two halves (`low` and `high` as int32), at most 20 bytes. */
export function writeInt64(out: Uint8Array, to: number, low: number, high: number): number {
  if (high < 0) {
    out[to] = 0x2d;
    // Two's complement of the pair; the lowest int64 becomes 2^63, right when read as unsigned.
    return writeUint64(out, to + 1, -low | 0, low === 0 ? -high | 0 : ~high);
  }
  return writeUint64(out, to, low, high);
}

/** The uint64 of two halves, at most 20 bytes. */
export function writeUint64(out: Uint8Array, to: number, low: number, high: number): number {
  const upper = high >>> 0;
  if (upper < 0x200000) return writeUint(out, to, upper * 0x100000000 + (low >>> 0));
  // value = front * 1e9 + back, exact in doubles: divide the four 16-bit limbs from the top.
  let front = 0;
  let back = 0;
  for (const limb of [upper >>> 16, upper & 0xffff, (low >>> 16) & 0xffff, low & 0xffff]) {
    const value = back * 0x10000 + limb;
    const quotient = Math.floor(value / 1e9);
    front = front * 0x10000 + quotient;
    back = value - quotient * 1e9;
  }
  return writeFixed(out, writeUint(out, to, front), back, 9);
}

/** Two lower-case digits for each byte of `bytes[begin..end)`. */
export function writeHex(out: Uint8Array, to: number, bytes: Uint8Array, begin: number, end: number): number {
  for (let at = begin; at < end; at++) {
    const byte = bytes[at] as number;
    out[to++] = HEX_DIGITS[byte >> 4] as number;
    out[to++] = HEX_DIGITS[byte & 15] as number;
  }
  return to;
}

/** Standard base64 with padding: 4 bytes for each 3 begun. */
export function writeBase64(out: Uint8Array, to: number, bytes: Uint8Array, begin: number, end: number): number {
  let at = begin;
  for (; at + 2 < end; at += 3) {
    const bits = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    out[to++] = BASE64_DIGITS[bits >> 18] as number;
    out[to++] = BASE64_DIGITS[(bits >> 12) & 63] as number;
    out[to++] = BASE64_DIGITS[(bits >> 6) & 63] as number;
    out[to++] = BASE64_DIGITS[bits & 63] as number;
  }
  if (at === end) return to;
  const bits = ((bytes[at] as number) << 16) | (at + 1 < end ? (bytes[at + 1] as number) << 8 : 0);
  out[to++] = BASE64_DIGITS[bits >> 18] as number;
  out[to++] = BASE64_DIGITS[(bits >> 12) & 63] as number;
  out[to++] = at + 1 < end ? (BASE64_DIGITS[(bits >> 6) & 63] as number) : 0x3d;
  out[to++] = 0x3d;
  return to;
}
