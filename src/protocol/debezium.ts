/**
 * `--envelope debezium`: key and value of a record of Debezium's MongoDB connector, without their schemas. Documents are
 * strings that hold their JSON, as in Debezium. Both times are those of the source, so that a line is reproducible.
 * https://debezium.io/documentation/reference/stable/connectors/mongodb.html#mongodb-change-events-value
 */

import { BSON, ElementWalker, readInt32 } from "../codec/bson.ts";
import type { ChangeEvent, Slot } from "../codec/change-event.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import {
  copyText,
  type Envelope,
  type EnvelopeParts,
  Fragment,
  namespaceOf,
  type LineNote,
  operationOf,
  reasonText,
  type RowContext,
  type RowWriter,
  NamespaceFragments,
  sourceText,
  writeNote,
} from "./envelope.ts";
import { type CollectionEnd, type SortKey, sortKeyIncrement } from "../source/record.ts";

const UPDATED_FIELDS_NAME = new TextEncoder().encode("updatedFields");
const ID_NAME = new TextEncoder().encode("_id");

export function debeziumEnvelope(parts: EnvelopeParts): Envelope {
  return new DebeziumEnvelope(parts);
}

class DebeziumEnvelope implements Envelope {
  readonly #parts: EnvelopeParts;
  readonly #connector: string;
  readonly #sources = new NamespaceFragments((source) => source);
  readonly #walker = new ElementWalker();
  readonly #scratch = new JsonWriter(1024);

  constructor(parts: EnvelopeParts) {
    this.#parts = parts;
    this.#connector = `"version":${JSON.stringify(parts.version)},"connector":"mongodb","name":"mongotap"`;
  }

  rows({ namespace, order, seconds, increment, copy }: RowContext): RowWriter {
    const ms = seconds * 1000;
    const head = new Fragment('{"key":');
    const middle = new Fragment(',"before":null,"after":');
    const tail = new Fragment(
      `,"updateDescription":null,"source":{${this.#connector},"ts_ms":${ms},"snapshot":"true",${sourceText(namespace)},` +
        `"ord":${increment},"order":"${order}"${copyText(copy)}},"op":"r","ts_ms":${ms}}`,
    );
    return (writer, bytes, at) => {
      head.write(writer);
      this.#writeKey(writer, bytes, at);
      middle.write(writer);
      this.#parts.quoted.writeValue(writer, bytes, BSON.document, at, at + readInt32(bytes, at));
      tail.write(writer);
    };
  }

  writeEvent(writer: JsonWriter, event: ChangeEvent, order: SortKey, note: LineNote | undefined): boolean {
    const op = operationOf(event);
    if (op === undefined) return false;
    const { documentKey, fullDocumentBeforeChange: before, updateDescription } = event.slots;
    writer.writeAscii('{"key":');
    this.#writeKey(writer, event.bytes, documentKey.begin);
    writer.writeAscii(',"before":');
    this.#writeQuoted(writer, event.bytes, before.isDocument ? before.begin : -1);
    writer.writeAscii(',"after":');
    this.#writeQuoted(writer, event.documentBytes, event.documentBegin);
    writer.writeAscii(',"updateDescription":');
    this.#writeUpdateDescription(writer, event, updateDescription);
    const ms = event.wallTimeMs;
    writer.writeAscii(`,"source":{${this.#connector},"ts_ms":${ms},"snapshot":"false",`);
    this.#sources.of(event.namespace).write(writer);
    const increment = sortKeyIncrement(order);
    writer.writeAscii(`,"ord":${increment},"order":"${order}"`);
    writeNote(writer, note);
    writer.writeAscii(`},"op":"${op}","ts_ms":${ms}}`);
    return true;
  }

  /** Debezium's truncate event, as its connectors for SQL databases have it, with the reason in its source. */
  writeEnd(writer: JsonWriter, end: CollectionEnd): boolean {
    const { name, ms, sortKey: order } = end;
    const source =
      `{${this.#connector},"ts_ms":${ms},"snapshot":"false",${sourceText(namespaceOf(name))},` +
      `"ord":${sortKeyIncrement(order)},"order":"${order}",${reasonText(end)}}`;
    const text = `{"key":null,"before":null,"after":null,"updateDescription":null,"source":${source},"op":"t","ts_ms":${ms}}`;
    new Fragment(text).write(writer);
    return true;
  }

  /** Writes the document at `at` as a string that holds its JSON; `null` where `at` is negative. */
  #writeQuoted(writer: JsonWriter, bytes: Uint8Array, at: number): void {
    if (at >= 0) this.#parts.quoted.writeValue(writer, bytes, BSON.document, at, at + readInt32(bytes, at));
    else writer.writeAscii("null");
  }

  /** Writes the key of a Debezium record, `{"id":"…"}` with the JSON of the `_id`; `null` without an `_id`. */
  #writeKey(writer: JsonWriter, bytes: Uint8Array, at: number): void {
    const walker = this.#walker;
    const scratch = this.#scratch;
    walker.start(bytes, at);
    while (walker.next()) {
      if (!walker.nameIs(ID_NAME)) continue;
      scratch.reset();
      this.#parts.transcoder.writeValue(scratch, bytes, walker.type, walker.valueBegin, walker.valueEnd);
      writer.writeAscii('{"id":');
      writer.writeText(scratch.bytes, 0, scratch.length);
      writer.writeAscii("}");
      return;
    }
    writer.writeAscii("null");
  }

  /** Writes it as the server sends it, except that `updatedFields` is a string that holds its JSON. */
  #writeUpdateDescription(writer: JsonWriter, { bytes }: ChangeEvent, slot: Slot): void {
    if (!slot.isDocument) {
      writer.writeAscii("null");
      return;
    }
    const { quoted, transcoder } = this.#parts;
    const walker = this.#walker;
    walker.start(bytes, slot.begin);
    let separator = "{";
    while (walker.next()) {
      writer.writeAscii(separator);
      separator = ",";
      writer.writeText(bytes, walker.nameBegin, walker.nameEnd);
      writer.writeAscii(":");
      const writing = walker.type === BSON.document && walker.nameIs(UPDATED_FIELDS_NAME) ? quoted : transcoder;
      writing.writeValue(writer, bytes, walker.type, walker.valueBegin, walker.valueEnd);
    }
    writer.writeAscii(separator === "{" ? "{}" : "}");
  }
}
