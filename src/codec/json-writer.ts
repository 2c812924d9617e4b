/** A growable byte buffer for JSON, used again after `reset`. Write into `bytes` directly only after `reserve`. */

import { MongotapError } from "../errors.ts";
import { MAX_TEXT_GROWTH, writeText } from "./text.ts";

/** Allocates the bytes of a writer. */
export interface WriterMemory {
  /**
   * Returns at least `need` bytes that begin with `bytes[0..length)`, and invalidates `bytes`.
   * Throws MongotapError("data") if `need` bytes cannot be had.
   */
  grow(bytes: Uint8Array, length: number, need: number): Uint8Array;
}

/** The largest buffer: the reach of a positive int32, less a page. */
export const MAX_WRITER_BYTES = 2 ** 31 - 2 ** 16;

/** The error for a batch of `need` bytes, which no buffer can hold. */
export function batchTooLarge(need: number): MongotapError {
  return new MongotapError("data", `a batch of ${need} bytes of JSON is too large`);
}

/** Memory of the JavaScript heap; doubles. */
const heapMemory: WriterMemory = {
  grow(bytes, length, need) {
    if (need > MAX_WRITER_BYTES) throw batchTooLarge(need);
    const grown = new Uint8Array(Math.min(MAX_WRITER_BYTES, Math.max(need, bytes.length * 2)));
    grown.set(bytes.subarray(0, length));
    return grown;
  },
};

const encoder = new TextEncoder();

/** More bytes are copied with `set`, which needs a view of them. */
const COPIED_BY_BYTE = 128;

export class JsonWriter {
  /** Replaced on growth: do not keep it across a call that may write. */
  bytes: Uint8Array;
  length = 0;
  #memory: WriterMemory = heapMemory;
  /** The integer that was written last: neighbouring events tend to have the same time. */
  #integer = 0;
  #digits = "0";

  /** `capacity` in bytes. */
  constructor(capacity = 64 * 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  get memory(): WriterMemory {
    return this.#memory;
  }

  /** Moves the bytes to `memory`, and grows there from now on. */
  moveTo(memory: WriterMemory): void {
    this.bytes = memory.grow(this.bytes, this.length, this.bytes.length);
    this.#memory = memory;
  }

  /** Empties the buffer and keeps its capacity. */
  reset(): void {
    this.length = 0;
  }

  /** Grows so that `extra` bytes fit behind `length`; throws MongotapError("data") if they cannot be had. */
  reserve(extra: number): void {
    const need = this.length + extra;
    if (need > this.bytes.length) this.bytes = this.#memory.grow(this.bytes, this.length, need);
  }

  writeByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  /** Appends ASCII, neither quoted nor escaped. */
  writeAscii(text: string): void {
    this.reserve(text.length);
    const bytes = this.bytes;
    let to = this.length;
    for (let i = 0; i < text.length; i++) bytes[to++] = text.charCodeAt(i);
    this.length = to;
  }

  /** Appends the decimal digits of a whole number. */
  writeInteger(value: number): void {
    if (value !== this.#integer) {
      this.#integer = value;
      this.#digits = String(value);
    }
    this.writeAscii(this.#digits);
  }

  /** Appends `text` as a JSON string; a lone surrogate becomes U+FFFD. */
  writeString(text: string): void {
    const utf8 = encoder.encode(text);
    this.writeText(utf8, 0, utf8.length);
  }

  /** Appends the UTF-8 `bytes[begin..end)` as a JSON string; invalid sequences become U+FFFD. */
  writeText(bytes: Uint8Array, begin: number, end: number): void {
    this.reserve((end - begin) * MAX_TEXT_GROWTH + 2);
    this.bytes[this.length] = 0x22;
    this.length = writeText(this.bytes, this.length + 1, bytes, begin, end);
    this.bytes[this.length++] = 0x22;
  }

  /** Copies `bytes[begin..end)`. */
  writeBytes(bytes: Uint8Array, begin: number, end: number): void {
    this.reserve(end - begin);
    if (end - begin > COPIED_BY_BYTE) this.bytes.set(bytes.subarray(begin, end), this.length);
    else for (let i = begin, to = this.length; i < end; i++, to++) this.bytes[to] = bytes[i] as number;
    this.length += end - begin;
  }

  /** A view of what was written, valid until the next write. Its buffer may be a WebAssembly memory: not transferable. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
