/**
 * The walk: BSON bytes to JSON bytes for every document, iterative, one value after the other. kernel.ts is faster and
 * writes the same bytes; the walk writes what the kernel gives up on, and names the error in what is corrupt.
 */

import { MongotapError } from "../errors.ts";
import { BSON, documentEnd, ElementWalker, hasMixedTypes, nameEnd, valueLength } from "./bson.ts";
import { diagnoseDocument, diagnoseValue, firstElement, type DiagnosisRules } from "./diagnose.ts";
import { JsonWriter } from "./json-writer.ts";
import { ANY_NAME } from "./name-bits.ts";
import { writeScalar } from "./scalars.ts";
import { isUtf8 } from "./text.ts";
import type { Format, Transcoder, TranscoderOptions } from "./transcoder.ts";

/** An open container. */
interface Frame {
  /** Index of its NUL. */
  readonly end: number;
  readonly isArray: boolean;
  /** Text behind its last element. */
  readonly close: string;
  /** Begin of its text in the writer if it becomes a string; else -1. */
  readonly stringFrom: number;
}

export class Walker implements Transcoder {
  readonly counts = { invalidUtf8: 0 };
  #names = 0;
  readonly #format: Format;
  readonly #arraysAsStrings: boolean;
  readonly #documentsAsStrings: boolean;
  readonly #rules: DiagnosisRules;
  /** An open container becomes a string: the containers inside it stay JSON. */
  #isInString = false;

  constructor(options: TranscoderOptions) {
    this.#format = options.format;
    this.#arraysAsStrings = options.arrays === "string";
    this.#documentsAsStrings = options.documents === "string";
    this.#rules = {
      strict: options.strict === true,
      oneType: options.arrays === "array",
      documentsAsStrings: this.#documentsAsStrings,
    };
  }

  load(): void {}

  writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number, limit = bytes.length): void {
    this.#orDiagnose(
      writer,
      () => {
        const end = documentEnd(bytes, at, limit, at) - 1;
        writer.writeByte(0x7b);
        this.#writeElements(writer, bytes, at + 4, { end, isArray: false, close: "}", stringFrom: -1 });
      },
      () => diagnoseDocument(bytes, at, limit, this.#rules, () => idOf(bytes, at, limit)),
    );
  }

  writeMembers(writer: JsonWriter, bytes: Uint8Array, at: number, limit = bytes.length): boolean {
    const start = writer.length;
    this.#names = ANY_NAME;
    this.#orDiagnose(
      writer,
      () => {
        const end = documentEnd(bytes, at, limit, at) - 1;
        this.#writeElements(writer, bytes, at + 4, { end, isArray: false, close: "", stringFrom: -1 });
      },
      () => diagnoseDocument(bytes, at, limit, this.#rules, () => idOf(bytes, at, limit)),
    );
    return writer.length > start;
  }

  takeNames(): number {
    const names = this.#names;
    this.#names = 0;
    return names;
  }

  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void {
    this.#orDiagnose(
      writer,
      () => {
        const length = valueLength(bytes, type, at, end, at);
        if (length !== end - at) throw new MongotapError("data", "value of a wrong length");
        const frame = this.#beginValue(writer, bytes, type, at, end);
        if (frame !== undefined) this.#writeElements(writer, bytes, firstElement(bytes, type, at), frame);
      },
      () => diagnoseValue(bytes, type, { at, end }, this.#rules),
    );
  }

  /** Runs `write`. If it throws MongotapError("data"), restores writer and counts and throws what `diagnose` returns. */
  #orDiagnose(writer: JsonWriter, write: () => void, diagnose: () => MongotapError | undefined): void {
    const start = writer.length;
    const invalidBefore = this.counts.invalidUtf8;
    this.#isInString = false;
    try {
      write();
    } catch (error) {
      writer.length = start;
      this.counts.invalidUtf8 = invalidBefore;
      if (!(error instanceof MongotapError) || error.kind !== "data") throw error;
      throw diagnose() ?? error;
    }
  }

  /** Writes the elements from `begin` to the end of `root`, nested ones included. */
  #writeElements(writer: JsonWriter, bytes: Uint8Array, begin: number, root: Frame): void {
    const stack: Frame[] = [];
    let frame = root;
    let at = begin;
    let isFirst = true;
    for (;;) {
      if (at === frame.end) {
        writer.writeAscii(frame.close);
        if (frame.stringFrom >= 0) this.#endString(writer, frame.stringFrom);
        const outer = stack.pop();
        if (outer === undefined) return;
        frame = outer;
        at++;
        isFirst = false;
        continue;
      }
      const type = bytes[at] as number;
      const valueBegin = nameEnd(bytes, at + 1, frame.end) + 1;
      if (!isFirst) writer.writeByte(0x2c);
      if (!frame.isArray) {
        this.#writeText(writer, bytes, at + 1, valueBegin - 1);
        writer.writeByte(0x3a);
      }
      const valueEnd = valueBegin + valueLength(bytes, type, valueBegin, frame.end);
      const inner = this.#beginValue(writer, bytes, type, valueBegin, valueEnd);
      isFirst = inner !== undefined;
      if (inner === undefined) at = valueEnd;
      else {
        stack.push(frame);
        frame = inner;
        at = firstElement(bytes, type, valueBegin);
      }
    }
  }

  /** Writes a scalar, or the begin of a container; returns the frame of the container. */
  #beginValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): Frame | undefined {
    switch (type) {
      case BSON.document:
      case BSON.array:
        return this.#beginContainer(writer, bytes, type === BSON.array, at, end);
      case BSON.codeWithScope: {
        const scope = firstElement(bytes, type, at) - 4;
        writer.writeAscii('{"$code":');
        this.#writeText(writer, bytes, at + 8, scope - 1);
        writer.writeAscii(',"$scope":{');
        return { end: end - 1, isArray: false, close: "}}", stringFrom: -1 };
      }
      default:
        this.#checkText(bytes, type, at, end);
        writeScalar(writer, bytes, type, at, this.#format);
        return undefined;
    }
  }

  #beginContainer(writer: JsonWriter, bytes: Uint8Array, isArray: boolean, at: number, end: number): Frame {
    let stringFrom = -1;
    if (!this.#isInString) {
      if (isArray && this.#rules.oneType && hasMixedTypes(bytes, at)) throw new MongotapError("data", "mixed array");
      if (isArray ? this.#arraysAsStrings : this.#documentsAsStrings) {
        stringFrom = writer.length;
        this.#isInString = true;
      }
    }
    writer.writeByte(isArray ? 0x5b : 0x7b);
    return { end: end - 1, isArray, close: isArray ? "]" : "}", stringFrom };
  }

  #writeText(writer: JsonWriter, bytes: Uint8Array, begin: number, end: number): void {
    this.#countInvalid(bytes, begin, end);
    writer.writeText(bytes, begin, end);
  }

  /** Counts invalid UTF-8 in the texts of a scalar. */
  #checkText(bytes: Uint8Array, type: number, at: number, end: number): void {
    if (type === BSON.string || type === BSON.code || type === BSON.symbol) this.#countInvalid(bytes, at + 4, end - 1);
    else if (type === BSON.dbPointer) this.#countInvalid(bytes, at + 4, end - 13);
    else if (type === BSON.regex) {
      const pattern = nameEnd(bytes, at, end);
      this.#countInvalid(bytes, at, pattern);
      this.#countInvalid(bytes, pattern + 1, end - 1);
    }
  }

  #countInvalid(bytes: Uint8Array, begin: number, end: number): void {
    if (isUtf8(bytes, begin, end)) return;
    if (this.#rules.strict) throw new MongotapError("data", "invalid UTF-8");
    this.counts.invalidUtf8++;
  }

  /** Turns the JSON written since `from` into a JSON string that holds it: in place, from the back. */
  #endString(writer: JsonWriter, from: number): void {
    this.#isInString = false;
    let extra = 2;
    for (let i = from; i < writer.length; i++) {
      const byte = writer.bytes[i];
      if (byte === 0x22 || byte === 0x5c) extra++;
    }
    writer.reserve(extra);
    const bytes = writer.bytes;
    let at = writer.length;
    let to = at + extra;
    writer.length = to;
    bytes[--to] = 0x22;
    while (at > from) {
      const byte = bytes[--at] as number;
      bytes[--to] = byte;
      if (byte === 0x22 || byte === 0x5c) bytes[--to] = 0x5c;
    }
    bytes[--to] = 0x22;
  }
}

const ID_NAME = new TextEncoder().encode("_id");

/** The _id of the document at `at` as relaxed JSON; empty if it has none or a corrupt one. */
function idOf(bytes: Uint8Array, at: number, limit: number): string {
  const element = new ElementWalker();
  const writer = new JsonWriter(256);
  try {
    element.start(bytes, at, limit);
    while (element.next()) {
      if (!element.nameIs(ID_NAME)) continue;
      new Walker({ format: "relaxed" }).writeValue(writer, bytes, element.type, element.valueBegin, element.valueEnd);
      return new TextDecoder().decode(writer.view());
    }
  } catch (error) {
    // The caller reports what is wrong with the document.
    if (!(error instanceof MongotapError)) throw error;
  }
  return "";
}
