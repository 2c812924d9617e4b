/** How each BSON value that holds no other values looks in each format. docs/json.md shows all of them. */

import { BSON, corrupt, nameEnd, readInt32, readUint32 } from "./bson.ts";
import { DATE_BYTES, isIsoDate, writeDate } from "./date.ts";
import { DECIMAL128_BYTES, writeDecimal128 } from "./decimal128.ts";
import { DOUBLE_BYTES, readDouble, writeDouble } from "./double.ts";
import type { JsonWriter } from "./json-writer.ts";
import { writeBase64, writeHex, writeInt64, writeUint } from "./numbers.ts";
import type { Format } from "./transcoder.ts";

/** Appends the value of `type` at `at`, whose frame valueLength has found right. Throws MongotapError("data") if it is not. */
export function writeScalar(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, format: Format): void {
  switch (type) {
    case BSON.string:
      return writePrefixed(writer, bytes, at);
    case BSON.int32:
      return writeLong(writer, readInt32(bytes, at), readInt32(bytes, at) >> 31, format === "canonical" ? INT : "");
    case BSON.int64:
      return writeLong(writer, readInt32(bytes, at), readInt32(bytes, at + 4), format === "canonical" ? LONG : "");
    case BSON.double:
      return writeNumber(writer, readDouble(bytes, at), format);
    case BSON.boolean:
      if ((bytes[at] as number) > 1) throw corrupt("boolean that is neither 0 nor 1", at);
      return writer.writeAscii(bytes[at] === 1 ? "true" : "false");
    case BSON.null:
      return writer.writeAscii("null");
    case BSON.objectId:
      return writeObjectId(writer, bytes, at, format);
    case BSON.date:
      return writeMoment(writer, bytes, at, format);
    case BSON.decimal128:
      return writeDecimal(writer, bytes, at, format);
    case BSON.binary:
      return writeBinary(writer, bytes, at, format);
    case BSON.timestamp:
      return writeTimestamp(writer, bytes, at);
    default:
      return writeRare(writer, bytes, type, at, format);
  }
}

/** The types that hardly any document holds. */
function writeRare(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, format: Format): void {
  switch (type) {
    case BSON.regex:
      return writeRegex(writer, bytes, at);
    case BSON.code:
    case BSON.symbol:
      writer.writeAscii(type === BSON.code ? '{"$code":' : '{"$symbol":');
      writePrefixed(writer, bytes, at);
      return writer.writeByte(0x7d);
    case BSON.dbPointer:
      writer.writeAscii('{"$dbPointer":{"$ref":');
      writePrefixed(writer, bytes, at);
      writer.writeAscii(',"$id":');
      writeObjectId(writer, bytes, at + 4 + readInt32(bytes, at), format);
      return writer.writeAscii("}}");
    case BSON.undefined:
      return writer.writeAscii('{"$undefined":true}');
    case BSON.minKey:
      return writer.writeAscii('{"$minKey":1}');
    case BSON.maxKey:
      return writer.writeAscii('{"$maxKey":1}');
    default:
      throw corrupt(`unknown type 0x${type.toString(16).padStart(2, "0")}`, at);
  }
}

const INT = '{"$numberInt":"';
const LONG = '{"$numberLong":"';

/** A string with its length in front. */
function writePrefixed(writer: JsonWriter, bytes: Uint8Array, at: number): void {
  writer.writeText(bytes, at + 4, at + 3 + readInt32(bytes, at));
}

/** An integer, inside `wrapper` if there is one. */
function writeLong(writer: JsonWriter, low: number, high: number, wrapper: string): void {
  writer.writeAscii(wrapper);
  writer.reserve(20);
  writer.length = writeInt64(writer.bytes, writer.length, low, high);
  if (wrapper !== "") writer.writeAscii('"}');
}

function writeNumber(writer: JsonWriter, value: number, format: Format): void {
  const isFinite = Number.isFinite(value);
  const isWrapped = format === "canonical" || (format === "relaxed" && !isFinite);
  if (isWrapped) writer.writeAscii('{"$numberDouble":"');
  else if (!isFinite) writer.writeByte(0x22);
  writer.reserve(DOUBLE_BYTES);
  if (isFinite) writer.length = writeDouble(writer.bytes, writer.length, value);
  else writer.writeAscii(String(value));
  if (isWrapped) writer.writeAscii('"}');
  else if (!isFinite) writer.writeByte(0x22);
}

function writeObjectId(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  writer.writeAscii(format === "plain" ? '"' : '{"$oid":"');
  writer.reserve(24);
  writer.length = writeHex(writer.bytes, writer.length, bytes, at, at + 12);
  writer.writeAscii(format === "plain" ? '"' : '"}');
}

function writeMoment(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  const isPlain = format === "plain";
  if (!isPlain && !(format === "relaxed" && isIsoDate(bytes, at))) {
    writeLong(writer, readInt32(bytes, at), readInt32(bytes, at + 4), '{"$date":{"$numberLong":"');
    return writer.writeByte(0x7d);
  }
  writer.writeAscii(isPlain ? '"' : '{"$date":"');
  writer.reserve(DATE_BYTES);
  writer.length = writeDate(writer.bytes, writer.length, bytes, at, isPlain);
  writer.writeAscii(isPlain ? '"' : '"}');
}

function writeDecimal(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  writer.writeAscii(format === "plain" ? '"' : '{"$numberDecimal":"');
  writer.reserve(DECIMAL128_BYTES);
  writer.length = writeDecimal128(writer.bytes, writer.length, bytes, at);
  writer.writeAscii(format === "plain" ? '"' : '"}');
}

function writeBinary(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  const end = at + 5 + readInt32(bytes, at);
  // The old subtype 2 repeats the length inside; it is no part of the data.
  const begin = bytes[at + 4] === 2 ? at + 9 : at + 5;
  writer.writeAscii(format === "plain" ? '"' : '{"$binary":{"base64":"');
  writer.reserve((end - begin) * 2 + 4);
  writer.length = writeBase64(writer.bytes, writer.length, bytes, begin, end);
  if (format === "plain") return writer.writeByte(0x22);
  writer.writeAscii('","subType":"');
  writer.reserve(2);
  writer.length = writeHex(writer.bytes, writer.length, bytes, at + 4, at + 5);
  writer.writeAscii('"}}');
}

function writeTimestamp(writer: JsonWriter, bytes: Uint8Array, at: number): void {
  writer.writeAscii('{"$timestamp":{"t":');
  writer.reserve(10);
  writer.length = writeUint(writer.bytes, writer.length, readUint32(bytes, at + 4));
  writer.writeAscii(',"i":');
  writer.reserve(10);
  writer.length = writeUint(writer.bytes, writer.length, readUint32(bytes, at));
  writer.writeAscii("}}");
}

function writeRegex(writer: JsonWriter, bytes: Uint8Array, at: number): void {
  const pattern = nameEnd(bytes, at, bytes.length);
  writer.writeAscii('{"$regularExpression":{"pattern":');
  writer.writeText(bytes, at, pattern);
  writer.writeAscii(',"options":');
  // Extended JSON wants the options in alphabetical order.
  const options = bytes.subarray(pattern + 1, nameEnd(bytes, pattern + 1, bytes.length));
  writer.writeString(
    Array.from(new TextDecoder("utf-8", { ignoreBOM: true }).decode(options))
      .toSorted()
      .join(""),
  );
  writer.writeAscii("}}");
}
