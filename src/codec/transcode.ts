/** BSON bytes to JSON bytes, without a JavaScript object for any document: the fast walk first, then the slow one. */

import { BSON, readInt32 } from "./bson.ts";
import { FLAG, Kernel, type Loaded, moveToKernel, sharedKernel, type SharedKernel } from "./kernel.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { Transcoder, TranscoderOptions } from "./transcoder.ts";
import { Walker } from "./walk.ts";

export type { Format, Transcoder, TranscoderOptions } from "./transcoder.ts";

/** Makes a transcoder for `options`. */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const shared = sharedKernel();
  return shared === undefined ? new Walker(options) : new FastTranscoder(options, shared);
}

/** A writer that holds more bytes than this, or is about to, gets a kernel of its own. */
const MUCH = 64 * 1024;

/** Hands each document to the kernel, and to the walker what the kernel gives up on. */
class FastTranscoder implements Transcoder {
  readonly #walker: Walker;
  readonly #shared: SharedKernel;
  readonly #flags: number;
  #loaded: Loaded | undefined;

  constructor(options: TranscoderOptions, shared: SharedKernel) {
    this.#walker = new Walker(options);
    this.#shared = shared;
    this.#flags = flagsOf(options);
  }

  get counts(): { readonly invalidUtf8: number } {
    return this.#walker.counts;
  }

  load(bytes: Uint8Array): void {
    this.#loaded = { bytes };
  }

  writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number, limit = bytes.length): void {
    if (!this.#write(writer, bytes, at, limit, this.#flags)) this.#walker.writeDocument(writer, bytes, at, limit);
  }

  writeMembers(writer: JsonWriter, bytes: Uint8Array, at: number, limit = bytes.length): boolean {
    const start = writer.length;
    if (this.#write(writer, bytes, at, limit, this.#flags | FLAG.bare)) return writer.length > start;
    return this.#walker.writeMembers(writer, bytes, at, limit);
  }

  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void {
    const isArray = type === BSON.array;
    if (isArray || type === BSON.document) {
      const flags = this.#flags | FLAG.field | (isArray ? FLAG.array : 0);
      const isWhole = end <= bytes.length && readInt32(bytes, at) === end - at;
      if (isWhole && this.#write(writer, bytes, at, end, flags)) return;
    }
    this.#walker.writeValue(writer, bytes, type, at, end);
  }

  /** Appends the document at `at` unless the kernel gives up on it; then returns false. */
  #write(writer: JsonWriter, bytes: Uint8Array, at: number, limit: number, flags: number): boolean {
    const own = writer.room instanceof Kernel ? writer.room : this.#ownKernel(writer, bytes, at, limit);
    if (own !== undefined) return own.write(bytes, at, limit, flags, this.#loaded);
    const shared = this.#shared;
    shared.writer.reset();
    if (!shared.kernel.write(bytes, at, limit, flags, this.#loaded)) return false;
    writer.writeBytes(shared.writer.bytes, 0, shared.writer.length);
    return true;
  }

  /** A kernel of its own for a writer that holds much, or is about to; undefined: the shared one will do. */
  #ownKernel(writer: JsonWriter, bytes: Uint8Array, at: number, limit: number): Kernel | undefined {
    const isLarge = writer.length > MUCH || (limit - at > MUCH && readInt32(bytes, at) > MUCH);
    return isLarge ? moveToKernel(writer) : undefined;
  }
}

function flagsOf(options: TranscoderOptions): number {
  return (
    (options.format === "canonical" ? FLAG.canonical : 0) |
    (options.format === "plain" ? FLAG.plain : 0) |
    (options.arrays === "string" ? FLAG.arraysAsStrings : 0) |
    (options.arrays === "array" ? FLAG.oneType : 0) |
    (options.documents === "string" ? FLAG.documentsAsStrings : 0)
  );
}
