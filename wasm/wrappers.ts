/** The Extended JSON before a value, as ASCII. Each text is padded to 32 bytes, so that two stores write it. */

// {"$oid":"
export const OID = memory.data<u8>([
  123, 34, 36, 111, 105, 100, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
// {"$date":"
export const DATE = memory.data<u8>([
  123, 34, 36, 100, 97, 116, 101, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
// {"$date":{"$numberLong":"
export const DATE_LONG = memory.data<u8>([
  123, 34, 36, 100, 97, 116, 101, 34, 58, 123, 34, 36, 110, 117, 109, 98, 101, 114, 76, 111, 110, 103, 34, 58, 34, 0, 0,
  0, 0, 0, 0, 0,
]);
// {"$numberInt":"
export const INT = memory.data<u8>([
  123, 34, 36, 110, 117, 109, 98, 101, 114, 73, 110, 116, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
// {"$numberLong":"
export const LONG = memory.data<u8>([
  123, 34, 36, 110, 117, 109, 98, 101, 114, 76, 111, 110, 103, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0,
]);
// {"$numberDouble":"
export const DOUBLE = memory.data<u8>([
  123, 34, 36, 110, 117, 109, 98, 101, 114, 68, 111, 117, 98, 108, 101, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0,
]);
// {"$numberDecimal":"
export const DECIMAL = memory.data<u8>([
  123, 34, 36, 110, 117, 109, 98, 101, 114, 68, 101, 99, 105, 109, 97, 108, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0,
]);
// {"$binary":{"base64":"
export const BINARY = memory.data<u8>([
  123, 34, 36, 98, 105, 110, 97, 114, 121, 34, 58, 123, 34, 98, 97, 115, 101, 54, 52, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0,
]);
// ","subType":"
export const SUBTYPE = memory.data<u8>([
  34, 44, 34, 115, 117, 98, 84, 121, 112, 101, 34, 58, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
// {"$timestamp":{"t":
export const TIMESTAMP = memory.data<u8>([
  123, 34, 36, 116, 105, 109, 101, 115, 116, 97, 109, 112, 34, 58, 123, 34, 116, 34, 58, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0,
]);
// {"$undefined":true}
export const UNDEFINED = memory.data<u8>([
  123, 34, 36, 117, 110, 100, 101, 102, 105, 110, 101, 100, 34, 58, 116, 114, 117, 101, 125, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0,
]);
// {"$minKey":1}
export const MIN_KEY = memory.data<u8>([
  123, 34, 36, 109, 105, 110, 75, 101, 121, 34, 58, 49, 125, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
// {"$maxKey":1}
export const MAX_KEY = memory.data<u8>([
  123, 34, 36, 109, 97, 120, 75, 101, 121, 34, 58, 49, 125, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

/** Writes the first `count` bytes of `text`. */
// @inline
export function put(to: usize, text: usize, count: usize): usize {
  v128.store(to, v128.load(text));
  if (count > 16) v128.store(to, v128.load(text, 16), 16);
  return to + count;
}
