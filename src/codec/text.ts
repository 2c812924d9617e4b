/**
 * UTF-8 from BSON as the inside of a JSON string: always valid, always without a line break, so that one record is one line.
 *
 * Escaped are `"`, `\`, C0, DEL, and the characters that some readers take for a line break: U+0085, U+2028, U+2029.
 */

/** The most bytes of JSON for one byte of text (`\u0000`). */
export const MAX_TEXT_GROWTH = 6;

const HEX_DIGITS = "0123456789abcdef";
/** Bytes that have an escape of two characters, and its second one. */
const SHORT_ESCAPES = new Map([
  [0x22, '"'],
  [0x5c, "\\"],
  [0x08, "b"],
  [0x09, "t"],
  [0x0a, "n"],
  [0x0c, "f"],
  [0x0d, "r"],
]);

/** For each byte: 0 is copied, 1 becomes `\u00xx`, 2 begins a sequence; else the character behind the backslash. */
const BYTE_CLASS = new Uint8Array(256).map((_, byte) => {
  if (byte >= 0x80) return 2;
  const letter = SHORT_ESCAPES.get(byte);
  if (letter !== undefined) return letter.charCodeAt(0);
  return byte < 0x20 || byte === 0x7f ? 1 : 0;
});

/**
 * Writes `bytes[begin..end)` to `out` at `to` and returns the index behind it. The caller has reserved MAX_TEXT_GROWTH bytes
 * per byte. Invalid sequences become U+FFFD, as often as the Encoding standard demands.
 */
export function writeText(out: Uint8Array, to: number, bytes: Uint8Array, begin: number, end: number): number {
  let at = begin;
  while (at < end) {
    const byte = bytes[at] as number;
    const kind = BYTE_CLASS[byte] as number;
    if (kind === 0) {
      out[to++] = byte;
      at++;
    } else if (kind === 1) {
      to = writeUnicodeEscape(out, to, byte);
      at++;
    } else if (kind !== 2) {
      out[to++] = 0x5c;
      out[to++] = kind;
      at++;
    } else {
      const length = sequenceLength(bytes, at, end);
      if (length > 0) {
        to = writeSequence(out, to, bytes, at, length);
        at += length;
      } else {
        out[to++] = 0xef;
        out[to++] = 0xbf;
        out[to++] = 0xbd;
        at -= length;
      }
    }
  }
  return to;
}

function writeUnicodeEscape(out: Uint8Array, to: number, code: number): number {
  out[to++] = 0x5c;
  out[to++] = 0x75;
  for (let shift = 12; shift >= 0; shift -= 4) out[to++] = HEX_DIGITS.charCodeAt((code >> shift) & 15);
  return to;
}

function writeSequence(out: Uint8Array, to: number, bytes: Uint8Array, at: number, length: number): number {
  const second = bytes[at + 1] as number;
  if (length === 2 && bytes[at] === 0xc2 && second === 0x85) return writeUnicodeEscape(out, to, 0x85);
  if (length === 3 && bytes[at] === 0xe2 && second === 0x80 && ((bytes[at + 2] as number) | 1) === 0xa9) {
    return writeUnicodeEscape(out, to, 0x2000 | ((bytes[at + 2] as number) & 0x3f));
  }
  for (let i = 0; i < length; i++) out[to++] = bytes[at + i] as number;
  return to;
}

/**
 * Byte length of the UTF-8 sequence at `at`, whose first byte is 0x80 or more. If it is invalid, the negated number of
 * bytes that one U+FFFD replaces: the longest prefix of a valid sequence, at least 1.
 * https://encoding.spec.whatwg.org/#utf-8-decoder
 */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at] as number;
  if (first < 0xc2 || first > 0xf4) return -1;
  if (at + 1 >= end) return -1;
  const second = bytes[at + 1] as number;
  if (first < 0xe0) return (second & 0xc0) === 0x80 ? 2 : -1;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return -1;
  if (at + 2 >= end || ((bytes[at + 2] as number) & 0xc0) !== 0x80) return -2;
  if (first < 0xf0) return 3;
  return at + 3 < end && ((bytes[at + 3] as number) & 0xc0) === 0x80 ? 4 : -3;
}

/** Whether `bytes[begin..end)` is valid UTF-8. */
export function isUtf8(bytes: Uint8Array, begin: number, end: number): boolean {
  for (let at = begin; at < end;) {
    if ((bytes[at] as number) < 0x80) at++;
    else {
      const length = sequenceLength(bytes, at, end);
      if (length < 0) return false;
      at += length;
    }
  }
  return true;
}
