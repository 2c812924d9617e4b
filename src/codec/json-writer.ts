/**
 * One growable byte buffer for JSON. It is made once and kept: `reset` empties it, its capacity stays.
 * `reserve` makes room, and only then may `bytes` be written to directly from `length` on.
 */

import { MongotapError } from "../errors.ts";
import { TEXT_GROWTH, writeText } from "./text.ts";

/** Where the bytes of a writer live. */
export interface WriterMemory {
  /**
   * Returns at least `need` bytes that begin with `bytes[0..length)`; `bytes` must not be used any more.
   * Throws MongotapError("data") when there is no room of that size.
   */
  grow(bytes: Uint8Array, length: number, need: number): Uint8Array;
}

/** More than any batch needs: two gigabytes, the reach of a positive int32. */
export const MOST_BYTES = 2 ** 31 - 2 ** 16;

/** The error for a batch of `need` bytes, which no buffer can hold. */
export function tooLarge(need: number): MongotapError {
  return new MongotapError("data", `a batch of ${need} bytes of JSON is too large`);
}

/** Ordinary memory, doubled as needed. */
const heap: WriterMemory = {
  grow(bytes, length, need) {
    if (need > MOST_BYTES) throw tooLarge(need);
    const grown = new Uint8Array(Math.min(MOST_BYTES, Math.max(need, bytes.length * 2)));
    grown.set(bytes.subarray(0, length));
    return grown;
  },
};

const encoder = new TextEncoder();

export class JsonWriter {
  /** Replaced when it grows: never keep it over a call that may write. */
  bytes: Uint8Array;
  length = 0;
  #room: WriterMemory = heap;

  /** Begins with room for `capacity` bytes. */
  constructor(capacity = 64 * 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  get room(): WriterMemory {
    return this.#room;
  }

  /** Moves what was written to another kind of memory, and grows there from now on. */
  moveTo(room: WriterMemory): void {
    this.bytes = room.grow(this.bytes, this.length, this.bytes.length);
    this.#room = room;
  }

  /** Forgets what was written and keeps the room. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for `extra` more bytes; throws MongotapError("data") when there is none. */
  reserve(extra: number): void {
    const need = this.length + extra;
    if (need > this.bytes.length) this.bytes = this.#room.grow(this.bytes, this.length, need);
  }

  writeByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  /** Appends ASCII as it is, without quotes and without escaping. */
  writeAscii(text: string): void {
    this.reserve(text.length);
    const bytes = this.bytes;
    let to = this.length;
    for (let i = 0; i < text.length; i++) bytes[to++] = text.charCodeAt(i);
    this.length = to;
  }

  /** Appends a JSON string: quoted and escaped; a lone surrogate becomes U+FFFD. */
  writeString(text: string): void {
    const utf8 = encoder.encode(text);
    this.writeText(utf8, 0, utf8.length);
  }

  /** Appends the UTF-8 `bytes[begin..end)` as a JSON string: quoted and escaped; what is invalid becomes U+FFFD. */
  writeText(bytes: Uint8Array, begin: number, end: number): void {
    this.reserve((end - begin) * TEXT_GROWTH + 2);
    this.bytes[this.length] = 0x22;
    this.length = writeText(this.bytes, this.length + 1, bytes, begin, end);
    this.bytes[this.length++] = 0x22;
  }

  /** Appends `bytes[begin..end)` as they are. */
  writeBytes(bytes: Uint8Array, begin: number, end: number): void {
    this.reserve(end - begin);
    this.bytes.set(bytes.subarray(begin, end), this.length);
    this.length += end - begin;
  }

  /** What was written, as a view that is valid until the next write; its buffer cannot be transferred. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
