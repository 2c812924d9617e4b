/**
 * The fast walk: one BSON document in, JSON out, both in this memory. It writes what is usual and gives up on all else:
 * a document that is corrupt, nested deeper than its stack, not UTF-8, or holds a type that nobody writes any more is
 * written, or refused, by src/codec/walk.ts. Whatever this file accepts must come out byte for byte as it does there.
 *
 * 64 bytes in front of the input and behind it must be readable, 64 behind `room` writable.
 */

import { writeDecimal128 } from "./decimal.ts";
import { writeHex12, writeInt32, writeInt64, writeUint64 } from "./digits.ts";
import { POWERS, prepareDoubles } from "./double.ts";
import { ARRAY, ARRAYS_AS_STRINGS, BARE, CANONICAL, DOCUMENTS_AS_STRINGS, FIELD, ONE_TYPE, PLAIN } from "./flags.ts";
import { putBinary, putDate, putDouble } from "./scalars.ts";
import { prepareText, quote, stops, writeText } from "./text.ts";
import { DECIMAL, INT, LONG, MAX_KEY, MIN_KEY, OID, put, TIMESTAMP, UNDEFINED } from "./wrappers.ts";

/** The document is for the slow walk. */
const GIVE_UP: i32 = -1;
/** The document needs more room than there is: try again with twice of it. */
const NO_ROOM: i32 = -2;

/** One open container: where it ends, its kind, the type of its elements, whether it becomes a string. */
const FRAME: usize = 16;
const DEPTH: usize = 1024;
const STACK = memory.data(1024 * 16);

/** More than any scalar needs, beside text. */
const SCALAR_ROOM: usize = 128;

/** To be called once, before anything else; returns where the powers of ten belong, see double.ts. */
export function prepare(): usize {
  prepareText();
  prepareDoubles();
  return POWERS;
}

/** Where the memory that belongs to this module ends. */
export function staticEnd(): usize {
  return __heap_base;
}

/**
 * Writes the document of `length` bytes at `document` to `to` and returns where it stopped: at `room` or before.
 * GIVE_UP or NO_ROOM when it is not written; what is behind `to` is scratch then.
 */
export function transcode(document: usize, length: i32, to: usize, room: usize, flags: u32): i32 {
  const start = to;
  let at = document + 4;
  let end = document + (length as usize) - 1;
  if (length < 5 || load<i32>(document) !== length || load<u8>(end) !== 0) return GIVE_UP;
  if (to + SCALAR_ROOM > room) return NO_ROOM;
  let frame: usize = STACK;
  let isArray = (flags & ARRAY) !== 0;
  let elementType: u32 = 0;
  // Where the text began that becomes a string; 0: nothing does.
  let stringFrom: usize = 0;
  let isString = false;
  if (flags & FIELD && flags & (isArray ? ARRAYS_AS_STRINGS : DOCUMENTS_AS_STRINGS)) {
    stringFrom = to;
    isString = true;
  }
  if (!(flags & BARE)) store<u8>(to++, isArray ? 0x5b : 0x7b);

  while (true) {
    if (at === end) {
      // Behind each value stands a comma; the closing bracket takes the place of the last one.
      if (to > start && load<u8>(to - 1) === 0x2c) to--;
      if (frame === STACK && flags & BARE) return to as i32;
      if (to + SCALAR_ROOM > room) return NO_ROOM;
      store<u8>(to++, isArray ? 0x5d : 0x7d);
      if (isString) {
        if (to + (to - stringFrom) + SCALAR_ROOM > room) return NO_ROOM;
        to = quote(stringFrom, to);
        stringFrom = 0;
      }
      if (frame === STACK) return to as i32;
      frame -= FRAME;
      end = load<u32>(frame);
      isArray = load<u32>(frame, 4) !== 0;
      elementType = load<u32>(frame, 8);
      isString = load<u32>(frame, 12) !== 0;
      at++;
      store<u8>(to++, 0x2c);
      continue;
    }

    const type = load<u8>(at++) as u32;
    if (to + SCALAR_ROOM > room) return NO_ROOM;
    if (isArray) {
      while (load<u8>(at) !== 0) at++;
      if (flags & ONE_TYPE && type !== 0x0a && stringFrom === 0) {
        if (elementType === 0) elementType = type;
        else if (elementType !== type) return GIVE_UP;
      }
    } else {
      store<u8>(to, 0x22);
      let name = v128.load(at);
      v128.store(to, name, 1);
      let stop = stops(name);
      let count: usize = 0;
      if (stop === 0) {
        name = v128.load(at, 16);
        v128.store(to, name, 17);
        stop = stops(name);
        count = 16;
      }
      count += ctz<i32>(stop) as usize;
      if (stop !== 0 && load<u8>(at + count) === 0) {
        at += count;
        to += count + 1;
      } else {
        // The NUL at `end` is behind every name.
        let nameEnd = at;
        while (load<u8>(nameEnd) !== 0) nameEnd++;
        if (to + (nameEnd - at) * 6 + SCALAR_ROOM > room) return NO_ROOM;
        to = writeText(to + 1, at, nameEnd);
        if (to === 0) return GIVE_UP;
        at = nameEnd;
      }
      store<u16>(to, 0x3a22); // ":
      to += 2;
    }
    at++;
    if (at > end) return GIVE_UP;
    const left = (end - at) as i32;

    switch (type) {
      case 0x02: {
        if (left < 5) return GIVE_UP;
        const count = load<i32>(at);
        if (count < 1 || count > left - 4) return GIVE_UP;
        at += 4;
        const last = at + (count as usize) - 1;
        if (load<u8>(last) !== 0) return GIVE_UP;
        if (to + (count as usize) * 6 + SCALAR_ROOM > room) return NO_ROOM;
        store<u8>(to++, 0x22);
        const text = v128.load(at);
        if (count <= 17 && (stops(text) & ((1 << (count - 1)) - 1)) === 0) {
          v128.store(to, text);
          to += (count as usize) - 1;
        } else {
          to = writeText(to, at, last);
          if (to === 0) return GIVE_UP;
        }
        store<u8>(to++, 0x22);
        at = last + 1;
        break;
      }
      case 0x10: {
        if (left < 4) return GIVE_UP;
        const value = load<i32>(at);
        if (flags & CANONICAL) {
          to = writeInt32(put(to, INT, 15), value);
          store<u16>(to, 0x7d22); // "}
          to += 2;
        } else {
          to = writeInt32(to, value);
        }
        at += 4;
        break;
      }
      case 0x01: {
        if (left < 8) return GIVE_UP;
        to = putDouble(to, load<f64>(at), flags);
        at += 8;
        break;
      }
      case 0x12: {
        if (left < 8) return GIVE_UP;
        const value = load<i64>(at);
        if (flags & CANONICAL) {
          to = writeInt64(put(to, LONG, 16), value);
          store<u16>(to, 0x7d22); // "}
          to += 2;
        } else {
          to = writeInt64(to, value);
        }
        at += 8;
        break;
      }
      case 0x07: {
        if (left < 12) return GIVE_UP;
        const bytes = v128.load(at);
        if (flags & PLAIN) {
          store<u8>(to, 0x22);
          to = writeHex12(to + 1, bytes);
          store<u8>(to++, 0x22);
        } else {
          to = writeHex12(put(to, OID, 9), bytes);
          store<u16>(to, 0x7d22); // "}
          to += 2;
        }
        at += 12;
        break;
      }
      case 0x09: {
        if (left < 8) return GIVE_UP;
        to = putDate(to, load<i64>(at), flags);
        if (to === 0) return GIVE_UP;
        at += 8;
        break;
      }
      case 0x08: {
        if (left < 1) return GIVE_UP;
        const value = load<u8>(at++);
        if (value > 1) return GIVE_UP;
        store<u64>(to, value ? 0x65757274 : 0x65736c6166); // true, false
        to += value ? 4 : 5;
        break;
      }
      case 0x0a: {
        store<u32>(to, 0x6c6c756e); // null
        to += 4;
        break;
      }
      case 0x03:
      case 0x04: {
        if (left < 5) return GIVE_UP;
        const count = load<i32>(at);
        if (count < 5 || count > left || load<u8>(at + (count as usize) - 1) !== 0) return GIVE_UP;
        if (frame === STACK + DEPTH * FRAME) return GIVE_UP;
        store<u32>(frame, end as u32);
        store<u32>(frame, isArray ? 1 : 0, 4);
        store<u32>(frame, elementType, 8);
        store<u32>(frame, isString ? 1 : 0, 12);
        frame += FRAME;
        end = at + (count as usize) - 1;
        at += 4;
        isArray = type === 0x04;
        elementType = 0;
        isString = stringFrom === 0 && (flags & (isArray ? ARRAYS_AS_STRINGS : DOCUMENTS_AS_STRINGS)) !== 0;
        if (isString) stringFrom = to;
        store<u8>(to++, isArray ? 0x5b : 0x7b);
        continue;
      }
      case 0x05: {
        if (left < 5) return GIVE_UP;
        const count = load<i32>(at);
        if (count < 0 || count > left - 5) return GIVE_UP;
        if (load<u8>(at, 4) === 2 && (count < 4 || load<i32>(at, 5) !== count - 4)) return GIVE_UP;
        if (to + (count as usize) * 2 + SCALAR_ROOM > room) return NO_ROOM;
        to = putBinary(to, at + 4, count as usize, flags);
        at += (count as usize) + 5;
        break;
      }
      case 0x13: {
        if (left < 16) return GIVE_UP;
        if (flags & PLAIN) {
          store<u8>(to, 0x22);
          to = writeDecimal128(to + 1, at);
          store<u8>(to++, 0x22);
        } else {
          to = writeDecimal128(put(to, DECIMAL, 19), at);
          store<u16>(to, 0x7d22); // "}
          to += 2;
        }
        at += 16;
        break;
      }
      case 0x11: {
        if (left < 8) return GIVE_UP;
        to = writeUint64(put(to, TIMESTAMP, 19), load<u32>(at, 4));
        store<u32>(to, 0x2269222c); // ,"i"
        store<u8>(to, 0x3a, 4);
        to = writeUint64(to + 5, load<u32>(at));
        store<u16>(to, 0x7d7d); // }}
        to += 2;
        at += 8;
        break;
      }
      case 0x06: {
        to = put(to, UNDEFINED, 19);
        break;
      }
      case 0xff: {
        to = put(to, MIN_KEY, 13);
        break;
      }
      case 0x7f: {
        to = put(to, MAX_KEY, 13);
        break;
      }
      default:
        return GIVE_UP;
    }
    if (at > end) return GIVE_UP;
    store<u8>(to++, 0x2c);
  }
}
