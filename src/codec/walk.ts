/** BSON bytes to JSON bytes: one walk, iterative, without a JavaScript object for any document. */

import { MongotapError } from "../errors.ts";
import { BSON, documentEnd, nameEnd, valueLength } from "./bson.ts";
import { explainCorruption, explainValue, type Rules } from "./explain.ts";
import type { JsonWriter } from "./json-writer.ts";
import { isMixed } from "./arrays.ts";
import { type Format, writeScalar, SCALAR_BYTES } from "./scalars.ts";
import { type TextFlaws, TEXT_GROWTH, writeText } from "./text.ts";

export type { Format } from "./scalars.ts";

export interface TranscoderOptions {
  /** How a value looks; docs/json.md has every type in every format. */
  readonly format: Format;
  /** Arrays as JSON arrays whose elements must be of one type, or as strings that hold their JSON; absent: as they are. */
  readonly arrays?: "array" | "string";
  /** Nested documents as JSON objects (the default), or as strings that hold their JSON. */
  readonly documents?: "document" | "string";
  /** Invalid UTF-8 is an error instead of U+FFFD. */
  readonly strict?: boolean;
}

/** Writes documents of one format. Not reentrant: one per loop. */
export interface Transcoder {
  /** How many texts (names and strings) held invalid UTF-8 that was replaced by U+FFFD. */
  readonly counts: { invalidUtf8: number };
  /**
   * Appends `{…}` for the document at `at`, which has to end at or before `limit` (default: the end of `bytes`).
   * Throws MongotapError("data") on a corrupt document, with the writer as it was before the call.
   */
  writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number, limit?: number): void;
  /**
   * Appends `"a":1,"b":2` without braces and returns whether anything was written: for envelopes that add fields of
   * their own to a document. Throws as writeDocument does.
   */
  writeMembers(writer: JsonWriter, bytes: Uint8Array, at: number, limit?: number): boolean;
  /** Appends one value of `type` at `at` … `end` as the value of a field. Throws as writeDocument does. */
  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void;
}

/** Makes a transcoder for `options`. */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  return new BsonTranscoder(options);
}

/** A container that is open: where it ends, what closes it, and where its text began if it becomes a string. */
interface Frame {
  readonly end: number;
  readonly isArray: boolean;
  readonly close: string;
  readonly stringFrom: number;
}

class BsonTranscoder implements Transcoder {
  readonly counts: TextFlaws = { invalidUtf8: 0 };
  readonly #options: TranscoderOptions;
  readonly #rules: Rules;

  constructor(options: TranscoderOptions) {
    this.#options = options;
    this.#rules = { strict: options.strict === true, oneType: options.arrays === "array" };
  }

  writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number, limit = bytes.length): void {
    const start = writer.length;
    const flaws = this.counts.invalidUtf8;
    try {
      const end = documentEnd(bytes, at, limit, at);
      writer.writeByte(0x7b);
      this.#writeElements(writer, bytes, at + 4, { end: end - 1, isArray: false, close: "}", stringFrom: -1 });
    } catch (error) {
      this.#undo(writer, start, flaws);
      throw isData(error) ? explainCorruption(bytes, at, limit, this.#rules, error) : error;
    }
  }

  writeMembers(writer: JsonWriter, bytes: Uint8Array, at: number, limit = bytes.length): boolean {
    const start = writer.length;
    const flaws = this.counts.invalidUtf8;
    try {
      const end = documentEnd(bytes, at, limit, at);
      this.#writeElements(writer, bytes, at + 4, { end: end - 1, isArray: false, close: "", stringFrom: -1 });
      return writer.length > start;
    } catch (error) {
      this.#undo(writer, start, flaws);
      throw isData(error) ? explainCorruption(bytes, at, limit, this.#rules, error) : error;
    }
  }

  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void {
    const start = writer.length;
    const flaws = this.counts.invalidUtf8;
    try {
      if (valueLength(bytes, type, at, end, at) !== end - at) throw new MongotapError("data", "wrong length of a value");
      const stack: Frame[] = [];
      this.#writeValue(writer, bytes, type, at, end, stack);
      const frame = stack.pop();
      if (frame !== undefined) this.#writeElements(writer, bytes, this.#inside(bytes, type, at), frame);
    } catch (error) {
      this.#undo(writer, start, flaws);
      throw isData(error) ? explainValue(bytes, type, at, end, this.#rules, error) : error;
    }
  }

  #undo(writer: JsonWriter, length: number, flaws: number): void {
    writer.length = length;
    this.counts.invalidUtf8 = flaws;
  }

  #writeElements(writer: JsonWriter, bytes: Uint8Array, begin: number, root: Frame): void {
    const stack: Frame[] = [root];
    let at = begin;
    let isFirst = true;
    for (let frame = stack.at(-1); frame !== undefined; ) {
      if (at === frame.end) {
        writer.writeAscii(frame.close);
        if (frame.stringFrom >= 0) endString(writer, frame.stringFrom);
        stack.pop();
        at = frame.close === "}}" ? frame.end + 1 : frame.end + 1;
        frame = stack.at(-1);
        isFirst = false;
        continue;
      }
      const type = bytes[at] as number;
      const name = at + 1;
      const end = nameEnd(bytes, name, frame.end);
      if (!isFirst) writer.writeByte(0x2c);
      if (!frame.isArray) {
        this.#writeText(writer, bytes, name, end);
        writer.writeByte(0x3a);
      }
      const length = valueLength(bytes, type, end + 1, frame.end);
      const depth = stack.length;
      this.#writeValue(writer, bytes, type, end + 1, end + 1 + length, stack);
      isFirst = stack.length > depth;
      at = isFirst ? this.#inside(bytes, type, end + 1) : end + 1 + length;
      frame = stack.at(-1);
    }
  }

  /** Where the elements of the container value at `at` begin. */
  #inside(bytes: Uint8Array, type: number, at: number): number {
    if (type !== BSON.codeWithScope) return at + 4;
    return at + 4 + valueLength(bytes, BSON.string, at + 4, bytes.length) + 4;
  }

  #writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number, stack: Frame[]): void {
    if (type === BSON.document || type === BSON.array) {
      const isArray = type === BSON.array;
      const isString = isArray ? this.#options.arrays === "string" : this.#options.documents === "string";
      const inString = stack.some((frame) => frame.stringFrom >= 0);
      if (isArray && this.#rules.oneType && !inString && isMixed(bytes, at)) throw new MongotapError("data", "mixed");
      const stringFrom = isString && !inString ? writer.length : -1;
      stack.push({ end: end - 1, isArray, close: isArray ? "]" : "}", stringFrom });
      writer.writeByte(isArray ? 0x5b : 0x7b);
      return;
    }
    if (type === BSON.codeWithScope) {
      const scope = this.#inside(bytes, type, at) - 4;
      writer.writeAscii('{"$code":');
      this.#writeText(writer, bytes, at + 8, scope - 1);
      writer.writeAscii(',"$scope":{');
      stack.push({ end: end - 1, isArray: false, close: "}}", stringFrom: -1 });
      return;
    }
    writer.reserve(SCALAR_BYTES + (end - at) * TEXT_GROWTH);
    const flaws = this.counts.invalidUtf8;
    writer.length = writeScalar(
      writer.bytes,
      writer.length,
      bytes,
      type,
      at,
      end,
      this.#options.format,
      this.counts,
    );
    if (this.#rules.strict && this.counts.invalidUtf8 !== flaws) throw new MongotapError("data", "invalid UTF-8");
  }

  #writeText(writer: JsonWriter, bytes: Uint8Array, begin: number, end: number): void {
    const flaws = this.counts.invalidUtf8;
    writer.reserve((end - begin) * TEXT_GROWTH + 2);
    writer.writeByte(0x22);
    writer.length = writeText(writer.bytes, writer.length, bytes, begin, end, this.counts);
    writer.writeByte(0x22);
    if (this.#rules.strict && this.counts.invalidUtf8 !== flaws) throw new MongotapError("data", "invalid UTF-8");
  }
}

/** Turns the JSON that was written since `from` into a JSON string that holds it: in place, from the back. */
function endString(writer: JsonWriter, from: number): void {
  let extra = 2;
  for (let i = from; i < writer.length; i++) {
    const byte = writer.bytes[i];
    if (byte === 0x22 || byte === 0x5c) extra++;
  }
  writer.reserve(extra);
  const bytes = writer.bytes;
  let to = writer.length + extra;
  let at = writer.length;
  writer.length = to;
  bytes[--to] = 0x22;
  while (at > from) {
    const byte = bytes[--at] as number;
    bytes[--to] = byte;
    if (byte === 0x22 || byte === 0x5c) bytes[--to] = 0x5c;
  }
  bytes[--to] = 0x22;
}

function isData(error: unknown): error is MongotapError {
  return error instanceof MongotapError && error.kind === "data";
}
