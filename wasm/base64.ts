/** Standard base64 with padding. 16 bytes after the input must be readable; 16 after the output are overwritten. */

/** The first 12 bytes as 16 digits. */
// @inline
function encode(bytes: v128): v128 {
  const lanes = i8x16.shuffle(bytes, bytes, 1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
  const values = v128.or(
    v128.or(v128.and(i32x4.shr_u(lanes, 10), i32x4.splat(0x3f)), v128.and(i32x4.shl(lanes, 4), i32x4.splat(0x3f00))),
    v128.or(
      v128.and(i32x4.shr_u(lanes, 6), i32x4.splat(0x3f0000)),
      v128.and(i32x4.shl(lanes, 8), i32x4.splat(0x3f000000)),
    ),
  );
  // One addition turns a value into its digit. Index of the summand: 13 for A-Z, 0 for a-z, 1 … 10 for 0-9, 11 for +, 12 for /.
  const range = v128.or(
    i8x16.sub_sat_u(values, i8x16.splat(51)),
    v128.and(i8x16.lt_u(values, i8x16.splat(26)), i8x16.splat(13)),
  );
  const shift = i8x16(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0);
  return i8x16.add(values, i8x16.swizzle(shift, range));
}

export function writeBase64(to: usize, at: usize, end: usize): usize {
  while (at + 12 <= end) {
    v128.store(to, encode(v128.load(at)));
    at += 12;
    to += 16;
  }
  const left = end - at;
  if (left === 0) return to;
  // The bytes after `end` count as zero.
  const index = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const bytes = v128.and(v128.load(at), i8x16.lt_u(index, i8x16.splat(left as i8)));
  v128.store(to, encode(bytes));
  to += ((left + 2) / 3) * 4;
  const padding: usize = (3 - (left % 3)) % 3;
  if (padding > 0) store<u8>(to - 1, 0x3d);
  if (padding > 1) store<u8>(to - 2, 0x3d);
  return to;
}
