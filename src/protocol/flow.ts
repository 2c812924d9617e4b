/**
 * Flow's `captured` messages, with the documents that Estuary's own connector for MongoDB writes: values as in
 * `--format plain`, `_id` as a string, `_meta` beside the fields. The end of a collection has no message.
 * https://github.com/estuary/flow/blob/master/go/protocols/capture/capture.proto
 */

import { BSON, type DocumentAt, ElementWalker, readInt32, readUint32 } from "../codec/bson.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import type { Transcoder } from "../codec/transcoder.ts";
import { MongotapError } from "../errors.ts";
import { nameOf } from "../source/record.ts";
import {
  type Envelope,
  type EnvelopeParts,
  Fragment,
  fragmentOf,
  namespaceOf,
  operationOf,
  sourceText,
} from "./envelope.ts";

export interface FlowDocuments {
  readonly kind: "flow";
  /** By `db.collection`, the index of its binding. */
  readonly bindings: ReadonlyMap<string, number>;
}

/** Flow takes messages of up to 64 MB. */
const MOST_BYTES = 64_000_000;

export function flowEnvelope({ bindings }: FlowDocuments, { transcoder, counts }: EnvelopeParts): Envelope {
  const keys = new TextKeys(transcoder);
  const heads = new Map([...bindings].map(([name, index]) => [name, new Fragment(headText(index))]));
  const sources = new Map([...bindings].map(([name]) => [name, new Fragment(sourceText(namespaceOf(name)))]));
  return {
    rows({ namespace }) {
      const head = fragmentOf(heads, nameOf(namespace));
      const tail = new Fragment(`"_meta":{"op":"c","source":{${sourceText(namespace)}},"snapshot":true}}}}`);
      return (writer, bytes, at) => {
        const begin = writer.length;
        head.write(writer);
        const document = keys.withTextKey(bytes, at);
        if (transcoder.writeMembers(writer, document.bytes, document.begin)) writer.writeAscii(",");
        tail.write(writer);
        checkSize(writer.length - begin, false);
      };
    },
    writeEvent(writer, event) {
      const op = operationOf(event);
      if (op === undefined || (op !== "d" && !event.hasDocument)) return false;
      const { documentKey, fullDocumentBeforeChange: before } = event.slots;
      const document =
        op === "d"
          ? keys.keyOnly(event.bytes, documentKey.begin)
          : keys.withTextKey(event.documentBytes, event.documentBegin);
      const begin = writer.length;
      fragmentOf(heads, event.namespace).write(writer);
      if (transcoder.writeMembers(writer, document.bytes, document.begin)) writer.writeAscii(",");
      writer.writeAscii(`"_meta":{"op":"${op}","source":{`);
      fragmentOf(sources, event.namespace).write(writer);
      writer.writeAscii("}");
      if (before.isDocument) {
        writer.writeAscii(',"before":');
        const image = keys.withTextKey(event.bytes, before.begin);
        transcoder.writeDocument(writer, image.bytes, image.begin);
      }
      writer.writeAscii("}}}}");
      checkSize(writer.length - begin, before.isDocument);
      return true;
    },
    writeEnd() {
      counts.ends += 1;
      return false;
    },
  };
}

/** @throws MongotapError `data` for a message that Flow does not take */
function checkSize(bytes: number, hasBefore: boolean): void {
  if (bytes <= MOST_BYTES) return;
  const remedy = hasBefore ? "; without the document before the change (before: none) it may be smaller" : "";
  throw new MongotapError("data", `its message has ${bytes} bytes of JSON, and Flow takes ${MOST_BYTES}${remedy}`);
}

function headText(binding: number): string {
  return `{"captured":{"binding":${binding},"doc":{`;
}

const ID_NAME = new TextEncoder().encode("_id");
/** The element of `_id` as a string: its type, its name, NUL. */
const TEXT_ID = Buffer.from("\x02_id\0", "latin1");
const QUOTE = 0x22;

/**
 * Documents whose `_id` is a string, as the key of a Flow collection is: the text of its JSON where that is none. The keys
 * in an `_id` that is a document are sorted, as Estuary's connector sorts them.
 */
class TextKeys {
  readonly #transcoder: Transcoder;
  readonly #walker = new ElementWalker();
  readonly #text = new JsonWriter(256);

  constructor(transcoder: Transcoder) {
    this.#transcoder = transcoder;
  }

  /** The document at `at`, itself where its `_id` becomes a string anyway. Throws MongotapError("data") if it is corrupt. */
  withTextKey(bytes: Uint8Array, at: number): DocumentAt {
    const walker = this.#walker;
    walker.start(bytes, at);
    while (walker.next()) {
      if (!walker.nameIs(ID_NAME)) continue;
      const { type, nameBegin, valueBegin, valueEnd } = walker;
      if (isWrittenAsString(type)) break;
      const text = this.#textOf(bytes, type, valueBegin, valueEnd);
      if (text === undefined) break;
      const end = at + readInt32(bytes, at);
      return joined([bytes.subarray(at + 4, nameBegin - 1), text, bytes.subarray(valueEnd, end)]);
    }
    return { bytes, begin: at };
  }

  /** A document that has only the `_id` of the document key at `at`, which may have the fields of a shard key too. */
  keyOnly(bytes: Uint8Array, at: number): DocumentAt {
    const walker = this.#walker;
    walker.start(bytes, at);
    while (walker.next()) {
      if (!walker.nameIs(ID_NAME)) continue;
      const { type, nameBegin, valueBegin, valueEnd } = walker;
      const text = isWrittenAsString(type) ? undefined : this.#textOf(bytes, type, valueBegin, valueEnd);
      return joined([text ?? bytes.subarray(nameBegin - 1, valueEnd), Uint8Array.of(0)]);
    }
    return { bytes, begin: at };
  }

  /** The element of `_id` with the text of its JSON; undefined where its JSON is a string already (a NaN). */
  #textOf(bytes: Uint8Array, type: number, begin: number, end: number): Uint8Array | undefined {
    const writer = this.#text;
    writer.reset();
    this.#writeSorted(bytes, type, begin, end);
    const json = writer.view();
    if (json[0] === QUOTE) return undefined;
    const element = Buffer.alloc(TEXT_ID.length + 4 + json.length + 1);
    element.set(TEXT_ID);
    element.writeInt32LE(json.length + 1, TEXT_ID.length);
    element.set(json, TEXT_ID.length + 4);
    return element;
  }

  /** Writes a value as JSON, the fields of documents sorted by the bytes of their names. */
  #writeSorted(bytes: Uint8Array, type: number, begin: number, end: number): void {
    const writer = this.#text;
    if (type !== BSON.document && type !== BSON.array) {
      const text = keyTextOf(bytes, type, begin);
      if (text === undefined) this.#transcoder.writeValue(writer, bytes, type, begin, end);
      else writer.writeAscii(text);
      return;
    }
    const isArray = type === BSON.array;
    const elements = elementsOf(bytes, begin);
    if (!isArray) elements.sort((a, b) => Buffer.compare(a.name, b.name));
    writer.writeAscii(isArray ? "[" : "{");
    for (const [i, { name, type: inner, valueBegin, valueEnd }] of elements.entries()) {
      if (i > 0) writer.writeAscii(",");
      if (!isArray) {
        writer.writeText(name, 0, name.length);
        writer.writeAscii(":");
      }
      this.#writeSorted(bytes, inner, valueBegin, valueEnd);
    }
    writer.writeAscii(isArray ? "]" : "}");
  }
}

/** The JSON of a value in a key where Estuary's connector writes another one than plain JSON is: the same value, as other text. */
function keyTextOf(bytes: Uint8Array, type: number, at: number): string | undefined {
  if (type === BSON.timestamp) return `{"$timestamp":{"i":${readUint32(bytes, at)},"t":${readUint32(bytes, at + 4)}}}`;
  if (type !== BSON.double) return undefined;
  const value = new DataView(bytes.buffer, bytes.byteOffset + at).getFloat64(0, true);
  return Number.isFinite(value) ? doubleText(value) : undefined;
}

/** As Rust's `ryu` writes a double: without an exponent from 1e-5 to below 1e16. */
function doubleText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", power = ""] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  const sign = value < 0 ? "-" : "";
  if (exponent < -5 || exponent >= 16) return `${sign}${mantissa}e${exponent}`;
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

interface Element {
  readonly name: Uint8Array;
  readonly type: number;
  readonly valueBegin: number;
  readonly valueEnd: number;
}

function elementsOf(bytes: Uint8Array, at: number): Element[] {
  const walker = new ElementWalker();
  const elements: Element[] = [];
  walker.start(bytes, at);
  while (walker.next()) {
    const { type, valueBegin, valueEnd } = walker;
    elements.push({ name: bytes.subarray(walker.nameBegin, walker.nameEnd), type, valueBegin, valueEnd });
  }
  return elements;
}

/** Types that plain JSON writes as a string, so that the document need not be copied. */
function isWrittenAsString(type: number): boolean {
  return (
    type === BSON.string ||
    type === BSON.objectId ||
    type === BSON.binary ||
    type === BSON.date ||
    type === BSON.decimal128
  );
}

/** A document of these parts: whole elements, and at the end the NUL of the document. */
function joined(parts: readonly Uint8Array[]): DocumentAt {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  const all = Buffer.concat([Buffer.alloc(4), ...parts], length);
  all.writeInt32LE(length, 0);
  return { bytes: all, begin: 0 };
}
