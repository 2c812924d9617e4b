/**
 * Assembles the chunks of a socket into messages of the wire protocol; replaces the driver's `BufferPool`. That keeps all
 * chunks of a message until the last one arrives, and copies them then. This copies each chunk when it arrives, while it is
 * in the processor's cache, and frees the memory of large chunks at once.
 */

import { Buffer } from "node:buffer";

import { detach } from "../lib/detach.ts";

const NOTHING = Buffer.alloc(0);

/** The server's `maxMessageSizeBytes`. Memory for a message is allocated ahead only up to this length. */
const MAX_MESSAGE_BYTES = 48_000_000;

/** Chunks up to this size may be slices of memory that the runtime reuses. */
const SMALL_CHUNK_BYTES = 64 * 1024;

export class MessageAssembler {
  /** The first message, if it is incomplete or not read yet, and its memory was allocated ahead. */
  #message: Buffer | undefined;
  #filled = 0;
  /** The bytes after `#message`; without `#message`, all bytes. */
  #rest: Buffer = NOTHING;

  /** How many bytes can be read. */
  get length(): number {
    return this.#filled + this.#rest.length;
  }

  /** Appends the bytes of `chunk` and takes over its memory. */
  append(chunk: Buffer): void {
    const taken = this.#fill(chunk);
    const rest = chunk.subarray(taken);
    if (rest.length === 0) return freeChunk(chunk);
    this.#rest = this.#rest.length === 0 ? rest : Buffer.concat([this.#rest, rest]);
    this.#begin();
  }

  /** The first four bytes as a number: the length of the next message. Null if there are fewer bytes. */
  getInt32(): number | null {
    const first = this.#message ?? this.#rest;
    return first.length < 4 ? null : first.readInt32LE(0);
  }

  /** Removes the first `size` bytes (at most `length`) and returns them in memory of their own. */
  read(size: number): Buffer {
    const message = this.#message;
    if (message !== undefined && message.length === size && this.#filled === size) {
      this.#message = undefined;
      this.#filled = 0;
      this.#begin();
      return message;
    }
    const rest = this.#rest;
    // Copied before #begin(), which frees the memory of #rest.
    const bytes =
      size > SMALL_CHUNK_BYTES && rest.buffer.byteLength === size ? rest : Buffer.from(rest.subarray(0, size));
    this.#rest = rest.length === size ? NOTHING : rest.subarray(size);
    this.#begin();
    return bytes;
  }

  /** Copies the bytes of `chunk` that belong to `#message`. Returns their number. */
  #fill(chunk: Buffer): number {
    if (this.#message === undefined) return 0;
    const taken = chunk.copy(this.#message, this.#filled);
    this.#filled += taken;
    return taken;
  }

  /** Allocates memory for the message at the beginning of `#rest`, if it is incomplete. */
  #begin(): void {
    if (this.#message !== undefined) return;
    const size = this.getInt32();
    if (size === null || size <= this.#rest.length || size > MAX_MESSAGE_BYTES) return;
    this.#message = Buffer.allocUnsafe(size);
    this.#filled = this.#rest.copy(this.#message);
    freeChunk(this.#rest);
    this.#rest = NOTHING;
  }
}

/** Frees a chunk that has been copied. */
function freeChunk(chunk: Buffer): void {
  if (chunk.length > SMALL_CHUNK_BYTES) detach(chunk);
}
