/**
 * One growable byte buffer for JSON. It is made once and kept: `reset` empties it, its capacity stays.
 * `reserve` makes room, and only then may `bytes` be written to directly from `length` on.
 */

import { MongotapError } from "../errors.ts";
import { writeText } from "./text.ts";

/** The largest buffer that every runtime allows; a batch never comes near it. */
const MOST = 2 ** 32 - 1;

const encoder = new TextEncoder();

export class JsonWriter {
  /** Replaced when it grows: never keep it over a call that may write. */
  bytes: Uint8Array;
  length = 0;

  /** Begins with room for `capacity` bytes. */
  constructor(capacity = 64 * 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Forgets what was written and keeps the room. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for `extra` more bytes; throws MongotapError("data") when no runtime has a buffer of that size. */
  reserve(extra: number): void {
    const need = this.length + extra;
    if (need <= this.bytes.length) return;
    if (need > MOST) throw new MongotapError("data", `a batch of ${need} bytes of JSON is too large`);
    const grown = new Uint8Array(Math.min(MOST, Math.max(need, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  writeByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  /** Appends ASCII as it is, without quotes and without escaping. */
  writeAscii(text: string): void {
    this.reserve(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i);
  }

  /** Appends a JSON string: quoted and escaped; a lone surrogate becomes U+FFFD. */
  writeString(text: string): void {
    const utf8 = encoder.encode(text);
    this.reserve(utf8.length * 6 + 2);
    this.bytes[this.length++] = 0x22;
    this.length = writeText(this.bytes, this.length, utf8, 0, utf8.length);
    this.bytes[this.length++] = 0x22;
  }

  /** Appends `bytes[begin..end)` as they are. */
  writeBytes(bytes: Uint8Array, begin: number, end: number): void {
    this.reserve(end - begin);
    this.bytes.set(bytes.subarray(begin, end), this.length);
    this.length += end - begin;
  }

  /** What was written, as a view that is valid until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
