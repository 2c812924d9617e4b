/** Makes the transcoder: the kernel for each document, the walk for those on which the kernel gives up. */

import { BSON, readInt32 } from "./bson.ts";
import { FLAG, Kernel, type LoadedBytes, moveToKernel, sharedKernel, type SharedKernel } from "./kernel.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { Transcoder, TranscoderOptions } from "./transcoder.ts";
import { Walker } from "./walk.ts";

export type { Format, Transcoder, TranscoderOptions } from "./transcoder.ts";

/** Returns a transcoder for `options`: with the kernel where the runtime has WebAssembly SIMD, else the walk alone. */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const shared = sharedKernel();
  return shared === undefined ? new Walker(options) : new KernelTranscoder(options, shared);
}

/** A writer that holds more, or is about to, gets a kernel and memory of its own. */
const OWN_MEMORY_BYTES = 64 * 1024;

class KernelTranscoder implements Transcoder {
  readonly #walker: Walker;
  readonly #shared: SharedKernel;
  readonly #flags: number;
  #loaded: LoadedBytes | undefined;
  /** The kernel that wrote last. */
  #last: Kernel;

  constructor(options: TranscoderOptions, shared: SharedKernel) {
    this.#walker = new Walker(options);
    this.#shared = shared;
    this.#last = shared.kernel;
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

  takeNames(): number {
    return this.#last.takeNames() | this.#walker.takeNames();
  }

  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void {
    const isArray = type === BSON.array;
    if (isArray || type === BSON.document) {
      const flags = this.#flags | FLAG.field | (isArray ? FLAG.array : 0);
      const isLengthRight = end <= bytes.length && readInt32(bytes, at) === end - at;
      if (isLengthRight && this.#write(writer, bytes, at, end, flags)) return;
    }
    this.#walker.writeValue(writer, bytes, type, at, end);
  }

  /** Appends the document at `at`; returns false, with nothing appended, if the kernel gives up. */
  #write(writer: JsonWriter, bytes: Uint8Array, at: number, limit: number, flags: number): boolean {
    const own = writer.memory instanceof Kernel ? writer.memory : this.#ownKernel(writer, bytes, at, limit);
    if (own !== undefined) {
      this.#last = own;
      return own.write(bytes, at, limit, flags, this.#loaded);
    }
    const shared = this.#shared;
    this.#last = shared.kernel;
    shared.writer.reset();
    if (!shared.kernel.write(bytes, at, limit, flags, this.#loaded)) return false;
    writer.writeBytes(shared.writer.bytes, 0, shared.writer.length);
    return true;
  }

  /** Moves a large writer to a kernel of its own; returns undefined for a small one, which uses the shared kernel. */
  #ownKernel(writer: JsonWriter, bytes: Uint8Array, at: number, limit: number): Kernel | undefined {
    const isLarge =
      writer.length > OWN_MEMORY_BYTES || (limit - at > OWN_MEMORY_BYTES && readInt32(bytes, at) > OWN_MEMORY_BYTES);
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
