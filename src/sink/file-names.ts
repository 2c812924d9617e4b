/**
 * Names of collections → names of files. A collection may be called `../../etc/passwd`, `con` or 255 bytes of emoji:
 * what comes out is ASCII, stays inside its directory, fits every file system, and differs for different names.
 */

import { createHash } from "node:crypto";

/** Longer encodings are cut and end in a hash. With the hash and `.ndjson.partial` a name stays under 255 bytes. */
const LONGEST = 180;
const HEX = "0123456789ABCDEF";
/** Devices on Windows, whatever follows the first dot: `con.orders.ndjson` would open the console. */
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/i;

export interface FileNameOptions {
  /** The directory takes `Users` and `users` for the same name (Windows, macOS): names with capitals are marked. */
  readonly foldsCase?: boolean;
}

/**
 * Returns the name of the file that holds `namespace` (`db.collection`), without a directory.
 * The same namespace always gets the same name, and two namespaces never share one: everything outside
 * `A-Z a-z 0-9 _ -` and single inner dots is percent-encoded as UTF-8 (as in a URL); an encoding above 180 bytes keeps
 * its beginning and ends in `~` and a hash. With `foldsCase` they also differ when capitals do not count: a name with
 * capitals ends in `~u` and a hex number whose n-th lowest bit says that its n-th letter is a capital.
 */
export function fileNameOf(namespace: string, options: FileNameOptions = {}): string {
  return `${stemOf(namespace, options)}.ndjson`;
}

/**
 * Returns the path below a directory of the file for `target` (`acmeCo/orders`): each part between slashes is encoded
 * like a namespace, so that it is a folder or file of this very directory whatever it holds. Empty parts are left out.
 */
export function filePathOf(target: string, options: FileNameOptions = {}): string {
  const parts = target.split("/").filter((part) => part !== "");
  return `${parts.map((part) => stemOf(part, options)).join("/")}.ndjson`;
}

/** Digits, so that a listing has the parts in their order. */
const PART_DIGITS = 4;

/** The file for one part of what has the file at `path`: `shop.orders~0003.ndjson`. No name of a collection gives that. */
export function partitionPathOf(path: string, part: number): string {
  return path.replace(/\.ndjson$/, `~${String(part).padStart(PART_DIGITS, "0")}.ndjson`);
}

/** The file for the whole of which `path` has a part; `path` itself where that is no part. */
export function wholePathOf(path: string): string {
  return path.replace(/~\d{4}(?=\.ndjson$)/, "");
}

function stemOf(text: string, options: FileNameOptions): string {
  const encoded = encode(text);
  if (encoded.length > LONGEST) return `${shorten(encoded)}~${hashOf(text)}`;
  const capitals = options.foldsCase === true ? capitalsOf(encoded) : 0n;
  return capitals === 0n ? encoded : `${encoded}~u${capitals.toString(16)}`;
}

function encode(namespace: string): string {
  let encoded = "";
  let previous = "";
  const last = namespace.length - 1;
  let index = 0;
  for (const character of namespace) {
    const isInnerDot = character === "." && index > 0 && index < last && previous !== ".";
    encoded += isInnerDot || /^[A-Za-z0-9_-]$/.test(character) ? character : percentEncode(character);
    previous = character;
    index += character.length;
  }
  const stem = encoded.split(".", 1)[0] ?? "";
  return WINDOWS_DEVICE.test(stem) ? percentEncode(stem.slice(0, 1)) + encoded.slice(1) : encoded;
}

/** UTF-8, also for a lone surrogate: `TextEncoder` turns every one of them into U+FFFD, two names into one file. */
function percentEncode(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return percent(code);
  if (code < 0x8_00) return percent(0xc0 | (code >> 6)) + percent(0x80 | (code & 0x3f));
  const tail = percent(0x80 | ((code >> 6) & 0x3f)) + percent(0x80 | (code & 0x3f));
  if (code < 0x1_00_00) return percent(0xe0 | (code >> 12)) + tail;
  return percent(0xf0 | (code >> 18)) + percent(0x80 | ((code >> 12) & 0x3f)) + tail;
}

function percent(byte: number): string {
  return `%${HEX.charAt(byte >> 4)}${HEX.charAt(byte & 15)}`;
}

/** The beginning of an encoding, never with half an escape at its end, nor a dot. */
function shorten(encoded: string): string {
  return encoded.slice(0, LONGEST).replace(/%.?$|\.$/, "");
}

function hashOf(namespace: string): string {
  return createHash("sha256").update(encode(namespace)).digest("hex").slice(0, 32);
}

/** One bit for each letter that is not part of an escape (escapes are always capitals). */
function capitalsOf(encoded: string): bigint {
  let bits = 0n;
  let bit = 1n;
  for (const [letter] of encoded.replaceAll(/%../g, "").matchAll(/[A-Za-z]/g)) {
    if (letter <= "Z") bits |= bit;
    bit <<= 1n;
  }
  return bits;
}
