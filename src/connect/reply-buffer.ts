/**
 * What comes from a socket, as the messages of the wire protocol: what the driver asks of its own `BufferPool`, which keeps
 * all parts of a reply until the last has come and then copies them. Here each part is copied when it comes, while it is
 * in the processor's cache, and its memory is given back at once where it is much.
 */

import { Buffer } from "node:buffer";

import { detach } from "../lib/buffers.ts";

const NOTHING = Buffer.alloc(0);

/** What a server sends at most; whatever claims to be longer is no message, and gets no memory before it has come. */
const MAX_MESSAGE_BYTES = 48_000_000;

/** Parts up to this size may be slices of memory that the runtime uses again. */
const SMALL_PART_BYTES = 64 * 1024;

export class ReplyBuffer {
  /** A message of which not all has come, or which has not been read yet. */
  #message: Buffer | undefined;
  #filled = 0;
  /** What came behind `#message`; all that came where there is none. */
  #rest: Buffer = NOTHING;

  /** How many bytes have come and have not been read. */
  get length(): number {
    return this.#filled + this.#rest.length;
  }

  /** Takes `part` over: nobody else may use it from now on. */
  append(part: Buffer): void {
    const taken = this.#fill(part);
    const rest = part.subarray(taken);
    if (rest.length === 0) return releasePart(part);
    this.#rest = this.#rest.length === 0 ? rest : Buffer.concat([this.#rest, rest]);
    this.#begin();
  }

  /** The first four bytes as a number, which is the length of the message that they begin; null if they have not come. */
  getInt32(): number | null {
    const first = this.#message ?? this.#rest;
    return first.length < 4 ? null : first.readInt32LE(0);
  }

  /** Takes out the first `size` bytes, of which `length` says that they are there, in memory of their own. */
  read(size: number): Buffer {
    const message = this.#message;
    if (message !== undefined && message.length === size && this.#filled === size) {
      this.#message = undefined;
      this.#filled = 0;
      this.#begin();
      return message;
    }
    const rest = this.#rest;
    // Copied before the next message begins: that gives the memory of all of it back.
    const bytes =
      size > SMALL_PART_BYTES && rest.buffer.byteLength === size ? rest : Buffer.from(rest.subarray(0, size));
    this.#rest = rest.length === size ? NOTHING : rest.subarray(size);
    this.#begin();
    return bytes;
  }

  /** Copies what of `part` belongs to the message, and returns how much that is. */
  #fill(part: Buffer): number {
    if (this.#message === undefined) return 0;
    const taken = part.copy(this.#message, this.#filled);
    this.#filled += taken;
    return taken;
  }

  /** Makes room for the message that `#rest` begins, if there is more of it to come. */
  #begin(): void {
    if (this.#message !== undefined) return;
    const size = this.getInt32();
    if (size === null || size <= this.#rest.length || size > MAX_MESSAGE_BYTES) return;
    this.#message = Buffer.allocUnsafe(size);
    this.#filled = this.#rest.copy(this.#message);
    releasePart(this.#rest);
    this.#rest = NOTHING;
  }
}

/** A part that has been copied. */
function releasePart(part: Buffer): void {
  if (part.length > SMALL_PART_BYTES) detach(part);
}
