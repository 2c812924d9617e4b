/**
 * UTF-8 as the inside of a JSON string, 16 bytes at a time. What follows the text has to be a NUL, and 16 bytes more
 * must be readable; up to 16 bytes behind what is written are scratch.
 */

/** Bit n is set where byte n is not written as it is: C0, `"`, `\`, DEL, and all that is not ASCII. */
@inline
export function stops(bytes: v128): i32 {
  return i8x16.bitmask(
    v128.or(
      v128.or(i8x16.lt_s(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x22))),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), i8x16.eq(bytes, i8x16.splat(0x7f))),
    ),
  );
}

/** Bit n is set where byte n is ASCII that must be escaped. */
@inline
function escapes(bytes: v128): i32 {
  return i8x16.bitmask(
    v128.or(
      v128.or(i8x16.lt_u(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x22))),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), i8x16.eq(bytes, i8x16.splat(0x7f))),
    ),
  );
}

/** Bit n is set where U+0085, U+2028 or U+2029 begins at byte n. */
@inline
function separators(bytes: v128): i32 {
  // 0xc2 and 0xe2 differ in one bit: most blocks have neither.
  if (!v128.any_true(i8x16.eq(v128.and(bytes, i8x16.splat(-33)), i8x16.splat(-62)))) return 0;
  const nextLine =
    i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(-62))) & (i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(-123))) >> 1);
  const lineOrParagraph =
    i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(-30))) &
    (i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(-128))) >> 1) &
    (i8x16.bitmask(i8x16.eq(v128.or(bytes, i8x16.splat(1)), i8x16.splat(-87))) >> 2);
  return nextLine | lineOrParagraph;
}

/**
 * Bit n is set where byte n is wrong behind the bytes before it; byte 0 begins a character. A character that is cut off
 * by the end of the block is not wrong.
 * Keiser, Lemire: Validating UTF-8 in less than one instruction per byte, https://arxiv.org/abs/2010.03090
 */
@inline
function flaws(bytes: v128): i32 {
  const zero = i8x16.splat(0);
  const before1 = i8x16.shuffle(zero, bytes, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
  const before2 = i8x16.shuffle(zero, bytes, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
  const before3 = i8x16.shuffle(zero, bytes, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
  // Bits: 1 too short, 2 too long, 4 overlong of 3, 8 too large, 16 surrogate, 32 overlong of 2,
  // 64 too large or overlong of 4, 128 two continuations.
  const high1 = i8x16.swizzle(
    i8x16(2, 2, 2, 2, 2, 2, 2, 2, -128, -128, -128, -128, 33, 1, 21, 73),
    i8x16.shr_u(before1, 4),
  );
  const low1 = i8x16.swizzle(
    i8x16(-25, -93, -125, -125, -117, -53, -53, -53, -53, -53, -53, -53, -53, -37, -53, -53),
    v128.and(before1, i8x16.splat(15)),
  );
  const high2 = i8x16.swizzle(
    i8x16(1, 1, 1, 1, 1, 1, 1, 1, -26, -82, -70, -70, 1, 1, 1, 1),
    i8x16.shr_u(bytes, 4),
  );
  const third = i8x16.sub_sat_u(before2, i8x16.splat(0x60));
  const fourth = i8x16.sub_sat_u(before3, i8x16.splat(0x70));
  const mustContinue = v128.and(v128.or(third, fourth), i8x16.splat(-128));
  const wrong = v128.xor(mustContinue, v128.and(v128.and(high1, low1), high2));
  return i8x16.bitmask(i8x16.ne(wrong, zero));
}

/** Bytes at the end of the block that begin a character and do not end it: 0 … 3. */
@inline
function cutOff(bytes: v128): i32 {
  const starts = i8x16.bitmask(
    i8x16.ge_u(bytes, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -16, -32, -64)),
  );
  // 0xff compares in every lane, and is found to be wrong elsewhere.
  return 16 - ctz<i32>((starts & 0xe000) | 0x10000);
}

@inline
function hexDigit(value: u32): u32 {
  return value + (value < 10 ? 0x30 : 0x57);
}

/** Writes the escape of one ASCII byte. */
function writeEscape(to: usize, byte: u32): usize {
  let letter: u32 = 0;
  if (byte == 0x22 || byte == 0x5c) letter = byte;
  else if (byte == 0x0a) letter = 0x6e;
  else if (byte == 0x0d) letter = 0x72;
  else if (byte == 0x09) letter = 0x74;
  else if (byte == 0x08) letter = 0x62;
  else if (byte == 0x0c) letter = 0x66;
  if (letter != 0) {
    store<u16>(to, (0x5c | (letter << 8)) as u16);
    return to + 2;
  }
  store<u32>(to, 0x3030755c);
  store<u16>(to + 4, (hexDigit(byte >> 4) | (hexDigit(byte & 15) << 8)) as u16);
  return to + 6;
}

/** Writes the text `at` … `end` and returns where it stopped; 0 if it is no valid UTF-8. */
export function writeText(to: usize, at: usize, end: usize): usize {
  while (at < end) {
    const bytes = v128.load(at);
    v128.store(to, bytes);
    const left = end - at;
    let stop = stops(bytes);
    if (left < 16) stop &= (1 << (left as i32)) - 1;
    if (stop == 0) {
      const count = min<usize>(left, 16);
      at += count;
      to += count;
      continue;
    }
    const count = ctz<i32>(stop) as usize;
    at += count;
    to += count;
    const byte = load<u8>(at) as u32;
    if (byte < 0x80) {
      to = writeEscape(to, byte);
      at++;
      continue;
    }
    // Blocks that are not all ASCII; each begins at a character.
    while (at < end) {
      const block = v128.load(at);
      if (i8x16.bitmask(block) == 0) break;
      v128.store(to, block);
      const rest = end - at;
      let whole = 16 - cutOff(block);
      if (rest < (whole as usize)) whole = rest as i32;
      // The byte behind `whole` shows whether the character before it is complete.
      if (flaws(block) & ((2 << whole) - 1)) return 0;
      const special = (escapes(block) | separators(block)) & ((1 << whole) - 1);
      if (special == 0) {
        at += whole as usize;
        to += whole as usize;
        continue;
      }
      const plain = ctz<i32>(special) as usize;
      at += plain;
      to += plain;
      const first = load<u8>(at) as u32;
      if (first < 0x80) {
        to = writeEscape(to, first);
        at++;
      } else if (first == 0xc2) {
        store<u64>(to, 0x35383030755c); // \u0085
        to += 6;
        at += 2;
      } else {
        store<u64>(to, 0x38323032755c + ((load<u8>(at, 2) & 1) as u64 << 40)); // \u2028 or \u2029
        to += 6;
        at += 3;
      }
    }
  }
  return to;
}

/** Turns the JSON `from` … `to` into a JSON string that holds it: in place, from the back. Returns where it ends. */
export function quote(from: usize, to: usize): usize {
  let extra: usize = 2;
  for (let at = from; at < to; at++) {
    const byte = load<u8>(at);
    if (byte == 0x22 || byte == 0x5c) extra++;
  }
  const end = to + extra;
  let target = end - 1;
  store<u8>(target, 0x22);
  while (to > from) {
    const byte = load<u8>(--to);
    store<u8>(--target, byte);
    if (byte == 0x22 || byte == 0x5c) store<u8>(--target, 0x5c);
  }
  store<u8>(--target, 0x22);
  return end;
}
