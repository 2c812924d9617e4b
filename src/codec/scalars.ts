/** BSON values that hold no other values, as JSON in each format. docs/json.md has an example of each. */

import { BSON, corrupt, nameEnd, readInt32, readUint32 } from "./bson.ts";
import { MAX_DATE_BYTES, isIsoDate, writeDate } from "./date.ts";
import type { JsonWriter } from "./json-writer.ts";
import {
  MAX_DECIMAL128_BYTES,
  MAX_DOUBLE_BYTES,
  readDouble,
  writeDecimal128,
  writeDouble,
  writeInt64,
  writeUint,
} from "./numbers.ts";
import type { Format } from "./transcoder.ts";

/**
 * Appends the value of `type` at `at`, whose length valueLength has checked. Throws MongotapError("data") on an unknown type
 * and on a boolean other than 0 and 1.
 */
export function writeScalar(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, format: Format): void {
  switch (type) {
    case BSON.string:
      return writeStringValue(writer, bytes, at);
    case BSON.int32:
      return writeInteger(
        writer,
        readInt32(bytes, at),
        readInt32(bytes, at) >> 31,
        format === "canonical" ? NUMBER_INT : "",
      );
    case BSON.int64:
      return writeInteger(
        writer,
        readInt32(bytes, at),
        readInt32(bytes, at + 4),
        format === "canonical" ? NUMBER_LONG : "",
      );
    case BSON.double:
      return writeDoubleValue(writer, readDouble(bytes, at), format);
    case BSON.boolean:
      if ((bytes[at] as number) > 1) throw corrupt("boolean that is neither 0 nor 1", at);
      return writer.writeAscii(bytes[at] === 1 ? "true" : "false");
    case BSON.null:
      return writer.writeAscii("null");
    case BSON.objectId:
      return writeObjectId(writer, bytes, at, format);
    case BSON.date:
      return writeDateValue(writer, bytes, at, format);
    case BSON.decimal128:
      return writeDecimal(writer, bytes, at, format);
    case BSON.binary:
      return writeBinary(writer, bytes, at, format);
    case BSON.timestamp:
      return writeTimestamp(writer, bytes, at);
    default:
      return writeRareType(writer, bytes, type, at, format);
  }
}

/** The types that few documents hold. */
function writeRareType(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, format: Format): void {
  switch (type) {
    case BSON.regex:
      return writeRegex(writer, bytes, at);
    case BSON.code:
    case BSON.symbol:
      writer.writeAscii(type === BSON.code ? '{"$code":' : '{"$symbol":');
      writeStringValue(writer, bytes, at);
      return writer.writeByte(0x7d);
    case BSON.dbPointer:
      writer.writeAscii('{"$dbPointer":{"$ref":');
      writeStringValue(writer, bytes, at);
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

const NUMBER_INT = '{"$numberInt":"';
const NUMBER_LONG = '{"$numberLong":"';
const HEX_DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const BASE64_DIGITS = Uint8Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", (digit) =>
  digit.charCodeAt(0),
);

/** Writes a BSON string: an int32 length, then the text. */
function writeStringValue(writer: JsonWriter, bytes: Uint8Array, at: number): void {
  writer.writeText(bytes, at + 4, at + 3 + readInt32(bytes, at));
}

/** Writes an int64 from its halves; `wrapper` is the text before it, or empty. */
function writeInteger(writer: JsonWriter, low: number, high: number, wrapper: string): void {
  writer.writeAscii(wrapper);
  writer.reserve(20);
  writer.length = writeInt64(writer.bytes, writer.length, low, high);
  if (wrapper !== "") writer.writeAscii('"}');
}

function writeDoubleValue(writer: JsonWriter, value: number, format: Format): void {
  const isFinite = Number.isFinite(value);
  const isWrapped = format === "canonical" || (format === "relaxed" && !isFinite);
  if (isWrapped) writer.writeAscii('{"$numberDouble":"');
  else if (!isFinite) writer.writeByte(0x22);
  writer.reserve(MAX_DOUBLE_BYTES);
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

function writeDateValue(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  const isPlain = format === "plain";
  if (!isPlain && !(format === "relaxed" && isIsoDate(bytes, at))) {
    writeInteger(writer, readInt32(bytes, at), readInt32(bytes, at + 4), '{"$date":{"$numberLong":"');
    return writer.writeByte(0x7d);
  }
  writer.writeAscii(isPlain ? '"' : '{"$date":"');
  writer.reserve(MAX_DATE_BYTES);
  writer.length = writeDate(writer.bytes, writer.length, bytes, at, isPlain);
  writer.writeAscii(isPlain ? '"' : '"}');
}

function writeDecimal(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  writer.writeAscii(format === "plain" ? '"' : '{"$numberDecimal":"');
  writer.reserve(MAX_DECIMAL128_BYTES);
  writer.length = writeDecimal128(writer.bytes, writer.length, bytes, at);
  writer.writeAscii(format === "plain" ? '"' : '"}');
}

function writeBinary(writer: JsonWriter, bytes: Uint8Array, at: number, format: Format): void {
  const end = at + 5 + readInt32(bytes, at);
  // Subtype 2 repeats the length before the data.
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
  // Extended JSON lists the options in alphabetical order.
  const options = bytes.subarray(pattern + 1, nameEnd(bytes, pattern + 1, bytes.length));
  writer.writeString(
    Array.from(new TextDecoder("utf-8", { ignoreBOM: true }).decode(options))
      .toSorted()
      .join(""),
  );
  writer.writeAscii("}}");
}

/** Writes `bytes[begin..end)` as lower-case hex. */
function writeHex(out: Uint8Array, to: number, bytes: Uint8Array, begin: number, end: number): number {
  for (let at = begin; at < end; at++) {
    const byte = bytes[at] as number;
    out[to++] = HEX_DIGITS[byte >> 4] as number;
    out[to++] = HEX_DIGITS[byte & 15] as number;
  }
  return to;
}

/** Writes `bytes[begin..end)` as standard base64 with padding. */
function writeBase64(out: Uint8Array, to: number, bytes: Uint8Array, begin: number, end: number): number {
  let at = begin;
  for (; at + 2 < end; at += 3) {
    const bits = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    out[to++] = BASE64_DIGITS[bits >> 18] as number;
    out[to++] = BASE64_DIGITS[(bits >> 12) & 63] as number;
    out[to++] = BASE64_DIGITS[(bits >> 6) & 63] as number;
    out[to++] = BASE64_DIGITS[bits & 63] as number;
  }
  if (at === end) return to;
  const bits = ((bytes[at] as number) << 16) | (at + 1 < end ? (bytes[at + 1] as number) << 8 : 0);
  out[to++] = BASE64_DIGITS[bits >> 18] as number;
  out[to++] = BASE64_DIGITS[(bits >> 12) & 63] as number;
  out[to++] = at + 1 < end ? (BASE64_DIGITS[(bits >> 6) & 63] as number) : 0x3d;
  out[to++] = 0x3d;
  return to;
}
