/**
 * The kernel: WebAssembly that reads BSON and writes JSON in one memory (sources in wasm/, reasons in
 * docs/decisions/101-webassembly-kernel.md). It gives up on what is rare or corrupt; walk.ts writes that.
 */

import { Buffer } from "node:buffer";
import { readInt32 } from "./bson.ts";
import { MODULE } from "./kernel-module.ts";
import { batchTooLarge, JsonWriter, MAX_WRITER_BYTES, type WriterMemory } from "./json-writer.ts";

/** Options of one call of the kernel; the bits are those of wasm/flags.ts. */
export const FLAG = {
  canonical: 1,
  plain: 2,
  arraysAsStrings: 4,
  documentsAsStrings: 8,
  oneType: 16,
  /** No braces around the outermost document. */
  bare: 32,
  /** The outermost value is an array. */
  array: 64,
  /** The outermost value is the value of a field. */
  field: 128,
} as const;

/** Result of `transcode` for a document that it does not write; -2: the output is full; else the end of the output. */
const GIVE_UP = -1;

const WASM_PAGE_BYTES = 65_536;
/** The kernel may read this far behind its input, and write this far behind its output. */
const MARGIN_BYTES = 64;
/** Copied at once from loaded bytes: small enough to stay in the processor's cache until the kernel reads it. */
const INPUT_WINDOW_BYTES = 256 * 1024;

interface Exports {
  readonly prepare: () => number;
  readonly staticEnd: () => number;
  readonly namesAt: () => number;
  readonly transcode: (document: number, length: number, to: number, limit: number, flags: number) => number;
}

/** Bytes that do not change while this object is in use (Transcoder.load); compared by identity. */
export interface LoadedBytes {
  readonly bytes: Uint8Array;
}

/** One kernel and the bytes of one writer in one memory: the kernel's static data, the input window, the output. */
export class Kernel implements WriterMemory {
  readonly #writer: JsonWriter;
  readonly #memory: WebAssembly.Memory;
  readonly #transcode: Exports["transcode"];
  readonly #window: number;
  readonly #namesAt: number;
  #windowSize = INPUT_WINDOW_BYTES;
  /** A view of the whole memory. */
  #all: Uint8Array;
  /** The window holds `#windowBegin` … `#windowEnd` of these bytes. */
  #loaded: LoadedBytes | undefined;
  #windowBegin = 0;
  #windowEnd = 0;

  /** Moves `writer` into a new memory. Throws what WebAssembly throws if it cannot be allocated. */
  constructor(writer: JsonWriter, module: WebAssembly.Module) {
    this.#writer = writer;
    this.#memory = new WebAssembly.Memory({ initial: 2, maximum: Math.floor(MAX_WRITER_BYTES / WASM_PAGE_BYTES) });
    const instance = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    const kernel = instance.exports as unknown as Exports;
    this.#transcode = kernel.transcode;
    this.#all = new Uint8Array(this.#memory.buffer);
    this.#all.set(powersOfTen(), kernel.prepare());
    this.#namesAt = kernel.namesAt();
    this.#window = (kernel.staticEnd() + MARGIN_BYTES + 15) & ~15;
    writer.moveTo(this);
  }

  /** Address of the output. */
  get #output(): number {
    return this.#window + this.#windowSize + MARGIN_BYTES;
  }

  grow(bytes: Uint8Array, length: number, need: number): Uint8Array {
    const isInMemory = bytes.buffer === this.#memory.buffer;
    const capacity = isInMemory ? bytes.length : 0;
    this.#ensure(this.#output + need + MARGIN_BYTES, this.#output + capacity * 2 + MARGIN_BYTES);
    const grown = this.#all.subarray(this.#output, this.#all.length - MARGIN_BYTES);
    if (!isInMemory) grown.set(bytes.subarray(0, length));
    return grown;
  }

  /**
   * Appends the document at `at`, or the array if `flags` say so, and returns true. Returns false and appends nothing if the
   * kernel gives up. `loaded` is what Transcoder.load received last.
   */
  write(bytes: Uint8Array, at: number, limit: number, flags: number, loaded: LoadedBytes | undefined): boolean {
    const most = (limit < bytes.length ? limit : bytes.length) - at;
    if (most < 5) return false;
    const length = readInt32(bytes, at);
    if (length < 5 || length > most) return false;
    const from = this.#copyToWindow(bytes, at, length, loaded);
    const writer = this.#writer;
    for (;;) {
      const output = this.#output;
      const outputEnd = output + writer.bytes.length;
      const end = this.#transcode(from, length, output + writer.length, outputEnd, flags);
      if (end >= 0) {
        writer.length = end - output;
        return true;
      }
      if (end === GIVE_UP) return false;
      writer.reserve(writer.bytes.length - writer.length + length + INPUT_WINDOW_BYTES);
    }
  }

  /** As Transcoder.takeNames. */
  takeNames(): number {
    const all = this.#all;
    const at = this.#namesAt;
    const names = readInt32(all, at);
    if (names === 0) return 0;
    all[at] = 0; // four stores, because `fill` takes longer than a small document
    all[at + 1] = 0;
    all[at + 2] = 0;
    all[at + 3] = 0;
    return names;
  }

  /** Copies `length` bytes at `at` into the window, unless they are there, and returns their address. */
  #copyToWindow(bytes: Uint8Array, at: number, length: number, loaded: LoadedBytes | undefined): number {
    const isLoaded = loaded !== undefined && loaded.bytes === bytes;
    if (isLoaded && loaded === this.#loaded && at >= this.#windowBegin && at + length <= this.#windowEnd) {
      return this.#window + at - this.#windowBegin;
    }
    const count = isLoaded ? Math.max(length, Math.min(INPUT_WINDOW_BYTES, bytes.length - at)) : length;
    if (count > this.#windowSize) this.#enlargeWindow(count);
    this.#all.set(bytes.subarray(at, at + count), this.#window);
    this.#loaded = isLoaded ? loaded : undefined;
    this.#windowBegin = at;
    this.#windowEnd = at + count;
    return this.#window;
  }

  /** Enlarges the window to `size` bytes and moves the output up. */
  #enlargeWindow(size: number): void {
    const writer = this.#writer;
    const output = this.#output;
    const capacity = writer.bytes.length;
    this.#windowSize = (size + WASM_PAGE_BYTES) & ~15;
    this.#ensure(this.#output + capacity + MARGIN_BYTES, 0);
    this.#all.copyWithin(this.#output, output, output + writer.length);
    writer.bytes = this.#all.subarray(this.#output, this.#all.length - MARGIN_BYTES);
  }

  /** Grows the memory to at least `need` bytes, to `wanted` if possible. Throws MongotapError("data") otherwise. */
  #ensure(need: number, wanted: number): void {
    if (need > MAX_WRITER_BYTES) throw batchTooLarge(need);
    if (
      need > this.#all.length &&
      !this.#growTo(Math.min(MAX_WRITER_BYTES, Math.max(need, wanted))) &&
      !this.#growTo(need)
    ) {
      throw batchTooLarge(need);
    }
  }

  #growTo(size: number): boolean {
    try {
      this.#memory.grow(Math.ceil((size - this.#all.length) / WASM_PAGE_BYTES));
    } catch {
      return false;
    }
    // Growth detaches all views of the memory.
    this.#all = new Uint8Array(this.#memory.buffer);
    return true;
  }
}

/** The kernel of all small writers, with a writer in its memory. */
export interface SharedKernel {
  readonly kernel: Kernel;
  readonly writer: JsonWriter;
}

let shared: SharedKernel | undefined | null = null;

/**
 * The kernel for small writers: its output is copied into their heap memory, because in JavaScriptCore each WebAssembly
 * memory costs a garbage collection. Returns undefined without WebAssembly SIMD (JavaScriptCore without AVX) or without
 * address space for a memory.
 */
export function sharedKernel(): SharedKernel | undefined {
  if (shared !== null) return shared;
  const writer = new JsonWriter();
  const kernel = moveToKernel(writer);
  shared = kernel === undefined ? undefined : { kernel, writer };
  return shared;
}

/** Moves `writer` into the memory of a new kernel; returns undefined, with `writer` unchanged, if there can be none. */
export function moveToKernel(writer: JsonWriter): Kernel | undefined {
  try {
    return new Kernel(writer, kernelModule());
  } catch {
    return undefined; // the walk writes the same bytes
  }
}

let compiled: WebAssembly.Module | undefined;

/** The compiled kernel. Throws what WebAssembly throws if it cannot be compiled. */
export function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Buffer.from(MODULE, "base64"));
  return compiled;
}

let powers: Uint8Array | undefined;

/** The upper 128 bits of 10^-292 … 10^324, rounded up, little-endian: the table of wasm/double.ts. */
export function powersOfTen(): Uint8Array {
  if (powers !== undefined) return powers;
  const table = new BigUint64Array(617 * 2);
  for (let exponent = -292; exponent <= 324; exponent++) {
    const bits = BigInt(Math.floor((exponent * 1_741_647) / 2 ** 19) - 127);
    const power = 10n ** BigInt(Math.abs(exponent));
    const scaled =
      exponent < 0
        ? ((1n << -bits) + power - 1n) / power
        : bits < 0n
          ? power << -bits
          : (power + (1n << bits) - 1n) >> bits;
    table[(exponent + 292) * 2] = BigInt.asUintN(64, scaled);
    table[(exponent + 292) * 2 + 1] = scaled >> 64n;
  }
  powers = new Uint8Array(table.buffer);
  return powers;
}
