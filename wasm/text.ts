/**
 * UTF-8 as the inside of a JSON string, 16 bytes at a time. A NUL must follow the text, and 16 more bytes must be
 * readable; up to 16 bytes after the output are overwritten.
 */

/** Bit n is set if byte n cannot be copied as it is: C0, `"`, `\`, DEL and non-ASCII. */
// @inline
export function stops(bytes: v128): i32 {
  return i8x16.bitmask(
    v128.or(
      v128.or(i8x16.lt_s(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x22))),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), i8x16.eq(bytes, i8x16.splat(0x7f))),
    ),
  );
}

/** Bit n is set if byte n is ASCII and must be escaped. */
// @inline
function escapes(bytes: v128): i32 {
  return i8x16.bitmask(
    v128.or(
      v128.or(i8x16.eq(i8x16.min_u(bytes, i8x16.splat(0x1f)), bytes), i8x16.eq(bytes, i8x16.splat(0x22))),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), i8x16.eq(bytes, i8x16.splat(0x7f))),
    ),
  );
}

/**
 * Bit n is set if byte n is invalid after the bytes before it, some of which are in the block `before`. A character that
 * the end of the block cuts off is valid so far.
 * Keiser, Lemire: Validating UTF-8 in less than one instruction per byte, https://arxiv.org/abs/2010.03090
 */
// @inline
function flaws(before: v128, bytes: v128): i32 {
  const before1 = i8x16.shuffle(before, bytes, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
  const before2 = i8x16.shuffle(before, bytes, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
  const before3 = i8x16.shuffle(before, bytes, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
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
  const high2 = i8x16.swizzle(i8x16(1, 1, 1, 1, 1, 1, 1, 1, -26, -82, -70, -70, 1, 1, 1, 1), i8x16.shr_u(bytes, 4));
  const third = i8x16.sub_sat_u(before2, i8x16.splat(0x60));
  const fourth = i8x16.sub_sat_u(before3, i8x16.splat(0x70));
  const mustContinue = v128.and(v128.or(third, fourth), i8x16.splat(-128));
  const wrong = v128.xor(mustContinue, v128.and(v128.and(high1, low1), high2));
  return v128.any_true(wrong) ? i8x16.bitmask(i8x16.ne(wrong, i8x16.splat(0))) : 0;
}

/** Whether U+0085, U+2028 or U+2029 may begin in the block: 0xc2 and 0xe2 differ in one bit. */
// @inline
function mayBeginSeparator(bytes: v128): bool {
  return v128.any_true(i8x16.eq(v128.and(bytes, i8x16.splat(-33)), i8x16.splat(-62)));
}

/** Bit n is set if byte n is the last one of U+0085, U+2028 or U+2029. */
// @inline
function separators(before: v128, bytes: v128): i32 {
  const before1 = i8x16.shuffle(before, bytes, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
  const before2 = i8x16.shuffle(before, bytes, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
  const nextLine = v128.and(i8x16.eq(before1, i8x16.splat(-62)), i8x16.eq(bytes, i8x16.splat(-123)));
  const lineOrParagraph = v128.and(
    v128.and(i8x16.eq(before2, i8x16.splat(-30)), i8x16.eq(before1, i8x16.splat(-128))),
    i8x16.eq(v128.or(bytes, i8x16.splat(1)), i8x16.splat(-87)),
  );
  return i8x16.bitmask(v128.or(nextLine, lineOrParagraph));
}

/** For each ASCII byte that is escaped: its escape, and the length of the escape in the highest byte. */
const ESCAPES = memory.data(128 * 8);

/** Fills ESCAPES. */
export function prepareText(): void {
  for (let byte: u64 = 0; byte < 0x20; byte++) setEscape(byte, 0);
  setEscape(0x7f, 0);
  setEscape(0x22, 0x22);
  setEscape(0x5c, 0x5c);
  setEscape(0x08, 0x62); // \b
  setEscape(0x09, 0x74); // \t
  setEscape(0x0a, 0x6e); // \n
  setEscape(0x0c, 0x66); // \f
  setEscape(0x0d, 0x72); // \r
}

/** `\` and `letter`, or `\u00xx` without one. */
function setEscape(byte: u64, letter: u64): void {
  const digit = byte & 15;
  const hex = (0x30 + (byte >> 4)) | ((digit + (digit < 10 ? 0x30 : 0x57)) << 8);
  const entry = letter !== 0 ? 0x5c | (letter << 8) | (2 << 56) : 0x3030755c | (hex << 32) | (6 << 56);
  store<u64>(ESCAPES + ((byte as usize) << 3), entry);
}

/** Writes the escape of one ASCII byte. */
// @inline
function writeEscape(to: usize, byte: u32): usize {
  const entry = load<u64>(ESCAPES + ((byte as usize) << 3));
  store<u64>(to, entry);
  return to + ((entry >> 56) as usize);
}

/** Writes the text `at` … `end` and returns where it stopped, or 0 if the text is not valid UTF-8. */
export function writeText(to: usize, at: usize, end: usize): usize {
  while (at < end) {
    const bytes = v128.load(at);
    v128.store(to, bytes);
    const left = end - at;
    let stop = stops(bytes);
    if (left < 16) stop &= (1 << (left as i32)) - 1;
    const count = min<usize>(left, 16);
    if (stop === 0) {
      at += count;
      to += count;
      continue;
    }
    let done: usize = 0;
    let isAscii = true;
    while (stop !== 0) {
      const next = ctz<i32>(stop) as usize;
      const byte = load<u8>(at + next) as u32;
      to += next - done;
      done = next;
      if (byte >= 0x80) {
        isAscii = false;
        break;
      }
      to = writeEscape(to, byte);
      done++;
      v128.store(to, v128.load(at + done));
      stop &= stop - 1;
    }
    if (isAscii) {
      at += count;
      to += count - done;
      continue;
    }
    at += done;

    // Blocks that are not all ASCII. The first one begins with a character. The NUL after the text shows whether its last
    // character is complete.
    let before = i8x16.splat(0);
    let mayEnd: bool = false;
    while (true) {
      const block = v128.load(at);
      v128.store(to, block);
      const rest = end - at;
      const isLast = rest < 16;
      const wrong = flaws(before, block);
      let special = escapes(block);
      const mayBegin = mayBeginSeparator(block);
      if (mayBegin || mayEnd) special |= separators(before, block);
      if (isLast) special &= (1 << (rest as i32)) - 1;
      if (wrong !== 0 && (!isLast || (wrong & ((2 << (rest as i32)) - 1)) !== 0)) return 0;
      if (special === 0) {
        if (isLast) return to + rest;
        at += 16;
        to += 16;
        if (i8x16.bitmask(block) === 0) break;
        before = block;
        mayEnd = mayBegin;
        continue;
      }
      const plain = ctz<i32>(special) as usize;
      at += plain;
      to += plain;
      const last = load<u8>(at++) as u32;
      before = i8x16.splat(0);
      mayEnd = false;
      if (last < 0x80) {
        to = writeEscape(to, last);
      } else if (last === 0x85) {
        store<u64>(to - 1, 0x35383030755c); // \u0085
        to += 5;
      } else {
        store<u64>(to - 2, 0x38323032755c + (((last & 1) as u64) << 40)); // \u2028 or \u2029
        to += 4;
      }
      if (at === end) return to;
      if (load<u8>(at) < 0x80) break;
    }
  }
  return to;
}

/** Bit n is set if byte n is `"` or `\`: in JSON the other bytes are escaped already. */
// @inline
function quotes(bytes: v128): i32 {
  return i8x16.bitmask(v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c))));
}

/**
 * Turns the JSON `from` … `to` into a JSON string that holds it, in place. Returns where the string ends: it is at most
 * twice as long and two bytes more. 64 bytes after that are overwritten.
 */
export function quote(from: usize, to: usize): usize {
  let extra: usize = 0;
  for (let at = from; at < to; at += 16) {
    let special = quotes(v128.load(at));
    if (to - at < 16) special &= (1 << ((to - at) as i32)) - 1;
    extra += popcnt<i32>(special) as usize;
  }
  // Moved so far that writing never overtakes reading.
  const shift = extra + 32;
  memory.copy(from + shift, from, to - from);
  const end = to + shift;
  let at = from + shift;
  to = from;
  store<u8>(to++, 0x22);
  while (at < end) {
    const bytes = v128.load(at);
    v128.store(to, bytes);
    let special = quotes(bytes);
    const count = min<usize>(end - at, 16);
    if (count < 16) special &= (1 << (count as i32)) - 1;
    let done: usize = 0;
    while (special !== 0) {
      const next = ctz<i32>(special) as usize;
      to += next - done;
      store<u8>(to, 0x5c);
      store<u8>(to, load<u8>(at + next), 1);
      to += 2;
      done = next + 1;
      v128.store(to, v128.load(at + done));
      special &= special - 1;
    }
    at += count;
    to += count - done;
  }
  store<u8>(to, 0x22);
  return to + 1;
}
