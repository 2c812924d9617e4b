/**
 * The fast walk: WebAssembly that reads BSON and writes JSON inside one memory (sources in wasm/, reasons in
 * docs/decisions/101-webassembly-kernel.md). It gives up on what is unusual or corrupt, and the slow walk (walk.ts)
 * takes over.
 */

import { Buffer } from "node:buffer";
import { readInt32 } from "./bson.ts";
import { MODULE } from "./kernel-module.ts";
import { JsonWriter, MOST_BYTES, type WriterMemory, tooLarge } from "./json-writer.ts";

/** What the kernel is told with each document; the bits are those of wasm/flags.ts. */
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

/** Answers of the kernel that are no positions. */
const GIVE_UP = -1;

const PAGE = 65_536;
/** Readable behind the input and writable behind the output, as the kernel wants it. */
const MARGIN = 64;
/** What is taken over at once from bytes that do not change: small enough to stay in the cache until it is read. */
const WINDOW = 256 * 1024;

interface Exports {
  readonly prepare: () => number;
  readonly staticEnd: () => number;
  readonly transcode: (document: number, length: number, to: number, room: number, flags: number) => number;
}

/** Bytes that were promised not to change: the same object with the same number is the same promise. */
export interface Loaded {
  readonly bytes: Uint8Array;
}

/**
 * One kernel and the bytes of one writer, in one memory: first what belongs to the kernel, then the input window, then
 * the output.
 */
export class Kernel implements WriterMemory {
  readonly #writer: JsonWriter;
  readonly #memory: WebAssembly.Memory;
  readonly #transcode: Exports["transcode"];
  readonly #window: number;
  #windowSize = WINDOW;
  /** The whole memory. */
  #all: Uint8Array;
  /** What the window holds of what was loaded. */
  #loaded: Loaded | undefined;
  #begin = 0;
  #end = 0;

  /** Moves `writer` into a memory of its own. */
  constructor(writer: JsonWriter, module: WebAssembly.Module) {
    this.#writer = writer;
    this.#memory = new WebAssembly.Memory({ initial: 2, maximum: Math.floor(MOST_BYTES / PAGE) });
    const instance = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    const kernel = instance.exports as unknown as Exports;
    this.#transcode = kernel.transcode;
    this.#all = new Uint8Array(this.#memory.buffer);
    this.#all.set(powersOfTen(), kernel.prepare());
    this.#window = (kernel.staticEnd() + MARGIN + 15) & ~15;
    writer.moveTo(this);
  }

  /** Where the output begins. */
  get #output(): number {
    return this.#window + this.#windowSize + MARGIN;
  }

  grow(bytes: Uint8Array, length: number, need: number): Uint8Array {
    const isHere = bytes.buffer === this.#memory.buffer;
    const had = isHere ? bytes.length : 0;
    this.#reach(this.#output + need + MARGIN, this.#output + had * 2 + MARGIN);
    const grown = this.#all.subarray(this.#output, this.#all.length - MARGIN);
    if (!isHere) grown.set(bytes.subarray(0, length));
    return grown;
  }

  /**
   * Appends the document at `at`, or the array if `flags` say so, and returns true; false, and nothing is appended, if
   * that is work for the slow walk. `loaded` is what was promised not to change.
   */
  write(bytes: Uint8Array, at: number, limit: number, flags: number, loaded: Loaded | undefined): boolean {
    const most = (limit < bytes.length ? limit : bytes.length) - at;
    if (most < 5) return false;
    const length = readInt32(bytes, at);
    if (length < 5 || length > most) return false;
    const from = this.#place(bytes, at, length, loaded);
    const writer = this.#writer;
    for (;;) {
      const output = this.#output;
      const room = output + writer.bytes.length;
      const end = this.#transcode(from, length, output + writer.length, room, flags);
      if (end >= 0) {
        writer.length = end - output;
        return true;
      }
      if (end === GIVE_UP) return false;
      writer.reserve(writer.bytes.length - writer.length + length + WINDOW);
    }
  }

  /** Takes `length` bytes at `at` over into the window, if they are not there yet, and returns where they are. */
  #place(bytes: Uint8Array, at: number, length: number, loaded: Loaded | undefined): number {
    const isLoaded = loaded !== undefined && loaded.bytes === bytes;
    if (isLoaded && loaded === this.#loaded && at >= this.#begin && at + length <= this.#end) {
      return this.#window + at - this.#begin;
    }
    const count = isLoaded ? Math.max(length, Math.min(WINDOW, bytes.length - at)) : length;
    if (count > this.#windowSize) this.#widen(count);
    this.#all.set(bytes.subarray(at, at + count), this.#window);
    this.#loaded = isLoaded ? loaded : undefined;
    this.#begin = at;
    this.#end = at + count;
    return this.#window;
  }

  /** Makes the window `size` bytes wide; the output moves up. */
  #widen(size: number): void {
    const writer = this.#writer;
    const output = this.#output;
    const capacity = writer.bytes.length;
    this.#windowSize = (size + PAGE) & ~15;
    this.#reach(this.#output + capacity + MARGIN, 0);
    this.#all.copyWithin(this.#output, output, output + writer.length);
    writer.bytes = this.#all.subarray(this.#output, this.#all.length - MARGIN);
  }

  /** Grows the memory to `need` bytes, and to `wish` if there is so much. */
  #reach(need: number, wish: number): void {
    if (need > MOST_BYTES) throw tooLarge(need);
    if (need > this.#all.length && !this.#growTo(Math.min(MOST_BYTES, Math.max(need, wish))) && !this.#growTo(need)) {
      throw tooLarge(need);
    }
  }

  #growTo(size: number): boolean {
    try {
      this.#memory.grow(Math.ceil((size - this.#all.length) / PAGE));
    } catch {
      return false;
    }
    // Growing leaves all views of the memory empty.
    this.#all = new Uint8Array(this.#memory.buffer);
    return true;
  }
}

/** A kernel with a writer that lives in its memory. */
export interface SharedKernel {
  readonly kernel: Kernel;
  readonly writer: JsonWriter;
}

let shared: SharedKernel | undefined | null = null;

/**
 * A kernel for writers that hold little: they stay where they are, and what is written is copied over. A memory of
 * its own for each writer would cost JavaScriptCore a garbage collection each. Undefined where there is no kernel:
 * no WebAssembly with SIMD (JavaScriptCore without AVX), or no address space for a memory.
 */
export function sharedKernel(): SharedKernel | undefined {
  if (shared !== null) return shared;
  const writer = new JsonWriter();
  const kernel = moveToKernel(writer);
  shared = kernel === undefined ? undefined : { kernel, writer };
  return shared;
}

/** Moves `writer` into the memory of a kernel of its own; undefined, and nothing is changed, where there is none. */
export function moveToKernel(writer: JsonWriter): Kernel | undefined {
  try {
    return new Kernel(writer, kernelModule());
  } catch {
    // The slow walk writes the same bytes.
    return undefined;
  }
}

let compiled: WebAssembly.Module | undefined;

/** The compiled kernel. Throws what WebAssembly throws where it cannot be compiled. */
export function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Buffer.from(MODULE, "base64"));
  return compiled;
}

let powers: Uint8Array | undefined;

/** 10^-292 … 10^324 as their upper 128 bits each, rounded up, little-endian: the table of wasm/double.ts. */
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
