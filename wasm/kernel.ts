/**
 * The fast walk: reads one BSON document and writes JSON, both in this memory. It writes the usual documents and gives up
 * on the rest: a document that is corrupt, is nested deeper than its stack, is not UTF-8, or holds a deprecated type.
 * src/codec/walk.ts then writes that document, or refuses it. What this file does write equals, byte for byte, what
 * walk.ts writes.
 *
 * 64 bytes before the input and 64 after it must be readable, and 64 after `room` writable.
 */

import { ARRAY, ARRAYS_AS_STRINGS, BARE, DOCUMENTS_AS_STRINGS, FIELD, ONE_TYPE } from "./flags.ts";
import { POWERS, prepareDoubles } from "./double.ts";
import {
  putBinary,
  putBoolean,
  putDate,
  putDecimal128,
  putDouble,
  putInt32,
  putInt64,
  putNull,
  putObjectId,
  putTimestamp,
} from "./scalars.ts";
import { prepareText, quote, stops, writeText } from "./text.ts";
import * as Type from "./types.ts";
import { MAX_KEY, MIN_KEY, put, UNDEFINED } from "./wrappers.ts";

/** Result: walk.ts must write this document. */
const GIVE_UP: i32 = -1;
/** Result: the output is too small; call again with more. */
const NO_ROOM: i32 = -2;

/** The stack of open containers. A frame is 16 bytes: end, is array, type of the elements, becomes a string. */
const FRAME: usize = 16;
const DEPTH: usize = 1024;
const STACK = memory.data(1024 * 16);

/** A bit for each name with a leading `_` at the top of a document: see `noteName`. */
const NAMES = memory.data(16);

/** More bytes than any scalar but text and binary needs. */
const SCALAR_ROOM: usize = 128;

/** Fills the tables. Call it once, before anything else. Returns where the powers of ten belong (double.ts). */
export function prepare(): usize {
  prepareText();
  prepareDoubles();
  return POWERS;
}

/** Returns where the memory of this module ends. */
export function staticEnd(): usize {
  return __heap_base;
}

/** Returns where the four bytes of NAMES are. The caller clears them. */
export function namesAt(): usize {
  return NAMES;
}

/** Sets the bit of the name at `at`, which begins with `_`: src/codec/name-bits.ts has the same function. `_id` has none. */
function noteName(at: usize): void {
  if (load<u32>(at) === 0x0064695f) return; // "_id" and its NUL
  const bit = (load<u8>(at, 1) as u32) * 2 + (load<u8>(at, 2) as u32) * 5;
  store<u32>(NAMES, load<u32>(NAMES) | (1 << (bit & 31)));
}

/** Opens a frame: saves the container that the walk is in. */
// @inline
function save(frame: usize, end: usize, isArray: bool, elementType: u32, isString: bool): usize {
  store<u32>(frame, end as u32);
  store<u32>(frame, isArray ? 1 : 0, 4);
  store<u32>(frame, elementType, 8);
  store<u32>(frame, isString ? 1 : 0, 12);
  return frame + FRAME;
}

/** Whether an embedded document or array of `count` bytes can begin at `at`, with `left` bytes until its parent ends. */
// @inline
function isContainer(at: usize, count: i32, left: i32): bool {
  return count >= 5 && count <= left && load<u8>(at + (count as usize) - 1) === 0;
}

/** Whether the length of a binary fits, the inner one of subtype 2 included. */
// @inline
function isBinary(at: usize, count: i32, left: i32): bool {
  if (count < 0 || count > left - 5) return false;
  return load<u8>(at, 4) !== 2 || (count >= 4 && load<i32>(at, 5) === count - 4);
}

/**
 * Writes the document of `length` bytes at `document` to `to`. Returns where the output ends, at most `room`; or GIVE_UP
 * or NO_ROOM, and the bytes after `to` are undefined then.
 *
 * It is one long function because its state is eight local variables and a function of AssemblyScript returns one value:
 * a part with a function of its own would have to keep the rest in memory. What needs `to` alone is in scalars.ts.
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
  // Where the container that becomes a string begins in the output; 0 if there is none.
  let stringFrom: usize = 0;
  let isString = false;
  if (flags & FIELD && flags & (isArray ? ARRAYS_AS_STRINGS : DOCUMENTS_AS_STRINGS)) {
    stringFrom = to;
    isString = true;
  }
  if (!(flags & BARE)) store<u8>(to++, isArray ? 0x5b : 0x7b); // [ or {

  while (true) {
    if (at === end) {
      // Each value ends with a comma; the closing bracket overwrites the last one.
      if (to > start && load<u8>(to - 1) === 0x2c) to--;
      if (frame === STACK && flags & BARE) return to as i32;
      if (to + SCALAR_ROOM > room) return NO_ROOM;
      store<u8>(to++, isArray ? 0x5d : 0x7d); // ] or }
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
      store<u8>(to++, 0x2c); // ,
      continue;
    }

    const type = load<u8>(at++) as u32;
    if (to + SCALAR_ROOM > room) return NO_ROOM;
    if (isArray) {
      while (load<u8>(at) !== 0) at++;
      if (flags & ONE_TYPE && type !== Type.NULL && stringFrom === 0) {
        if (elementType === 0) elementType = type;
        else if (elementType !== type) return GIVE_UP;
      }
    } else {
      store<u8>(to, 0x22);
      let name = v128.load(at);
      v128.store(to, name, 1);
      if (i8x16.extract_lane_u(name, 0) === 0x5f && frame === STACK) noteName(at);
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
        // This loop stops at `end` at the latest: a NUL is there.
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
      case Type.STRING: {
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
      case Type.INT32: {
        if (left < 4) return GIVE_UP;
        to = putInt32(to, load<i32>(at), flags);
        at += 4;
        break;
      }
      case Type.DOUBLE: {
        if (left < 8) return GIVE_UP;
        to = putDouble(to, load<f64>(at), flags);
        at += 8;
        break;
      }
      case Type.INT64: {
        if (left < 8) return GIVE_UP;
        to = putInt64(to, load<i64>(at), flags);
        at += 8;
        break;
      }
      case Type.OBJECT_ID: {
        if (left < 12) return GIVE_UP;
        to = putObjectId(to, v128.load(at), flags);
        at += 12;
        break;
      }
      case Type.DATE: {
        if (left < 8) return GIVE_UP;
        to = putDate(to, load<i64>(at), flags);
        if (to === 0) return GIVE_UP;
        at += 8;
        break;
      }
      case Type.BOOLEAN: {
        if (left < 1) return GIVE_UP;
        const value = load<u8>(at++);
        if (value > 1) return GIVE_UP;
        to = putBoolean(to, value);
        break;
      }
      case Type.NULL: {
        to = putNull(to);
        break;
      }
      case Type.DOCUMENT:
      case Type.ARRAY: {
        if (left < 5) return GIVE_UP;
        const count = load<i32>(at);
        if (!isContainer(at, count, left)) return GIVE_UP;
        if (frame === STACK + DEPTH * FRAME) return GIVE_UP;
        frame = save(frame, end, isArray, elementType, isString);
        end = at + (count as usize) - 1;
        at += 4;
        isArray = type === Type.ARRAY;
        elementType = 0;
        isString = stringFrom === 0 && (flags & (isArray ? ARRAYS_AS_STRINGS : DOCUMENTS_AS_STRINGS)) !== 0;
        if (isString) stringFrom = to;
        store<u8>(to++, isArray ? 0x5b : 0x7b);
        continue;
      }
      case Type.BINARY: {
        if (left < 5) return GIVE_UP;
        const count = load<i32>(at);
        if (!isBinary(at, count, left)) return GIVE_UP;
        if (to + (count as usize) * 2 + SCALAR_ROOM > room) return NO_ROOM;
        to = putBinary(to, at + 4, count as usize, flags);
        at += (count as usize) + 5;
        break;
      }
      case Type.DECIMAL128: {
        if (left < 16) return GIVE_UP;
        to = putDecimal128(to, at, flags);
        at += 16;
        break;
      }
      case Type.TIMESTAMP: {
        if (left < 8) return GIVE_UP;
        to = putTimestamp(to, load<u32>(at, 4), load<u32>(at));
        at += 8;
        break;
      }
      case Type.UNDEFINED: {
        to = put(to, UNDEFINED, 19);
        break;
      }
      case Type.MIN_KEY: {
        to = put(to, MIN_KEY, 13);
        break;
      }
      case Type.MAX_KEY: {
        to = put(to, MAX_KEY, 13);
        break;
      }
      default:
        return GIVE_UP;
    }
    if (at > end) return GIVE_UP;
    store<u8>(to++, 0x2c); // ,
  }
}
