/** How each BSON value that holds no other values looks in each format. docs/json.md shows all of them. */

import { BSON, corrupt, nameEnd, readInt32, readUint32 } from "./bson.ts";
import { DATE_BYTES, isIsoDate, writeDate } from "./date.ts";
import { writeDecimal128 } from "./decimal128.ts";
import { readDouble, writeAscii, writeDouble } from "./double.ts";
import { writeBase64, writeHex, writeInt32, writeInt64, writeUint } from "./numbers.ts";
import { type TextFlaws, writeText } from "./text.ts";

/** `relaxed` and `canonical` are MongoDB Extended JSON v2; `plain` has no wrappers where JSON has a natural form. */
export type Format = "relaxed" | "canonical" | "plain";

/** Room for every scalar, beside TEXT_GROWTH bytes for each byte of its value. */
export const SCALAR_BYTES = 96 + DATE_BYTES;

/** Writes the value of `type` at `at` … `end` to `out` from `to` on and returns where it stopped. */
export function writeScalar(
  out: Uint8Array,
  to: number,
  bytes: Uint8Array,
  type: number,
  at: number,
  end: number,
  format: Format,
  flaws: TextFlaws,
): number {
  const isPlain = format === "plain";
  switch (type) {
    case BSON.string:
      return quoted(out, to, bytes, at + 4, end - 1, flaws);
    case BSON.int32:
      return format === "canonical"
        ? wrapped(out, to, '{"$numberInt":"', '"}', (from) => writeInt32(out, from, readInt32(bytes, at)))
        : writeInt32(out, to, readInt32(bytes, at));
    case BSON.int64:
      return format === "canonical"
        ? wrapped(out, to, '{"$numberLong":"', '"}', (from) => writeLong(out, from, bytes, at))
        : writeLong(out, to, bytes, at);
    case BSON.double:
      return double(out, to, readDouble(bytes, at), format);
    case BSON.boolean:
      if ((bytes[at] as number) > 1) throw corrupt("boolean that is neither 0 nor 1", at);
      return writeAscii(out, to, bytes[at] === 1 ? "true" : "false");
    case BSON.null:
      return writeAscii(out, to, "null");
    case BSON.objectId:
      return wrapped(out, to, isPlain ? '"' : '{"$oid":"', isPlain ? '"' : '"}', (from) =>
        writeHex(out, from, bytes, at, at + 12),
      );
    case BSON.date:
      return date(out, to, bytes, at, format);
    case BSON.decimal128:
      return wrapped(out, to, isPlain ? '"' : '{"$numberDecimal":"', isPlain ? '"' : '"}', (from) =>
        writeDecimal128(out, from, bytes, at),
      );
    case BSON.binary:
      return binary(out, to, bytes, at, isPlain);
    case BSON.regex:
      return regex(out, to, bytes, at, end, flaws);
    case BSON.timestamp:
      to = writeUint(out, writeAscii(out, to, '{"$timestamp":{"t":'), readUint32(bytes, at + 4));
      to = writeUint(out, writeAscii(out, to, ',"i":'), readUint32(bytes, at));
      return writeAscii(out, to, "}}");
    case BSON.code:
      to = quoted(out, writeAscii(out, to, '{"$code":'), bytes, at + 4, end - 1, flaws);
      return writeAscii(out, to, "}");
    case BSON.symbol:
      to = quoted(out, writeAscii(out, to, '{"$symbol":'), bytes, at + 4, end - 1, flaws);
      return writeAscii(out, to, "}");
    case BSON.dbPointer:
      to = quoted(out, writeAscii(out, to, '{"$dbPointer":{"$ref":'), bytes, at + 4, end - 13, flaws);
      to = writeAscii(out, to, isPlain ? ',"$id":"' : ',"$id":{"$oid":"');
      to = writeHex(out, to, bytes, end - 12, end);
      return writeAscii(out, to, isPlain ? '"}}' : '"}}}');
    case BSON.undefined:
      return writeAscii(out, to, '{"$undefined":true}');
    case BSON.minKey:
      return writeAscii(out, to, '{"$minKey":1}');
    case BSON.maxKey:
      return writeAscii(out, to, '{"$maxKey":1}');
    default:
      throw corrupt(`unknown type 0x${type.toString(16)}`, at);
  }
}

function wrapped(
  out: Uint8Array,
  to: number,
  before: string,
  after: string,
  write: (from: number) => number,
): number {
  return writeAscii(out, write(writeAscii(out, to, before)), after);
}

function quoted(
  out: Uint8Array,
  to: number,
  bytes: Uint8Array,
  begin: number,
  end: number,
  flaws: TextFlaws,
): number {
  out[to++] = 0x22;
  to = writeText(out, to, bytes, begin, end, flaws);
  out[to++] = 0x22;
  return to;
}

function writeLong(out: Uint8Array, to: number, bytes: Uint8Array, at: number): number {
  return writeInt64(out, to, readInt32(bytes, at), readInt32(bytes, at + 4));
}

function double(out: Uint8Array, to: number, value: number, format: Format): number {
  const isFinite = Number.isFinite(value);
  if (format === "canonical" || (format === "relaxed" && !isFinite)) {
    to = writeAscii(out, to, '{"$numberDouble":"');
    to = isFinite ? writeDouble(out, to, value) : writeAscii(out, to, String(value));
    return writeAscii(out, to, '"}');
  }
  return isFinite ? writeDouble(out, to, value) : writeAscii(out, to, `"${value}"`);
}

function date(out: Uint8Array, to: number, bytes: Uint8Array, at: number, format: Format): number {
  if (format === "plain") return wrapped(out, to, '"', '"', (from) => writeDate(out, from, bytes, at, true));
  if (format === "relaxed" && isIsoDate(bytes, at)) {
    return wrapped(out, to, '{"$date":"', '"}', (from) => writeDate(out, from, bytes, at, false));
  }
  return wrapped(out, to, '{"$date":{"$numberLong":"', '"}}', (from) => writeLong(out, from, bytes, at));
}

function binary(out: Uint8Array, to: number, bytes: Uint8Array, at: number, isPlain: boolean): number {
  const subtype = bytes[at + 4] as number;
  const end = at + 5 + readInt32(bytes, at);
  // The old subtype 2 repeats the length inside; it is no part of the data.
  const begin = subtype === 2 ? at + 9 : at + 5;
  to = writeAscii(out, to, isPlain ? '"' : '{"$binary":{"base64":"');
  to = writeBase64(out, to, bytes, begin, end);
  if (isPlain) return writeAscii(out, to, '"');
  to = writeHex(out, writeAscii(out, to, '","subType":"'), bytes, at + 4, at + 5);
  return writeAscii(out, to, '"}}');
}

function regex(
  out: Uint8Array,
  to: number,
  bytes: Uint8Array,
  at: number,
  end: number,
  flaws: TextFlaws,
): number {
  const pattern = nameEnd(bytes, at, end);
  to = quoted(out, writeAscii(out, to, '{"$regularExpression":{"pattern":'), bytes, at, pattern, flaws);
  // Extended JSON wants the options in alphabetical order.
  const options = bytes.slice(pattern + 1, end - 1).sort();
  to = quoted(out, writeAscii(out, to, ',"options":'), options, 0, options.length, flaws);
  return writeAscii(out, to, "}}");
}
