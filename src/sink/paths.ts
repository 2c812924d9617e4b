/**
 * Output keys → paths of files. The name of a collection may be `../../etc/passwd`, `con` or 255 bytes of emoji: the name of
 * its file is ASCII, is below the directory of the run, fits every file system, and differs from those of all others.
 */

import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { MongotapError } from "../errors.ts";
import { codeOf } from "../lib/fs.ts";
import { EVERYTHING, type OutputKey } from "../lib/output-key.ts";
import { otherOutput, outputError } from "./errors.ts";
import { foldsCase, makeDirectory } from "./inspect-path.ts";
import type { OutputMark } from "./sink.ts";

/** One file, whose lines have the key EVERYTHING unless `key` says otherwise, or a directory with a file for each key. */
export type FileTarget =
  | { readonly kind: "file"; readonly path: string; readonly key?: OutputKey }
  | { readonly kind: "directory"; readonly path: string };

/** The paths of one run: made once, then asked for each output. */
export class OutputPaths {
  /** The file, or the directory; absolute. */
  readonly root: string;
  /** The key of the single file; undefined for a directory. */
  readonly single: OutputKey | undefined;
  readonly #targets: ReadonlyMap<string, string>;
  #options: FileNameOptions = {};
  /** By path below the root, the namespace whose target that is. */
  readonly #owners = new Map<string, string>();

  /**
   * `target.path` is absolute. `targets` has, by namespace, what names the file in a directory instead of the namespace:
   * `acmeCo/orders`.
   */
  constructor(target: FileTarget, targets: ReadonlyMap<string, string> = new Map<string, string>()) {
    this.root = target.path;
    this.single = target.kind === "file" ? (target.key ?? EVERYTHING) : undefined;
    this.#targets = targets;
  }

  /**
   * Compares the marks of an earlier run with the paths of this one. Touches no file.
   * @throws MongotapError `state` when a mark is of another output, or a collection would go on in another file
   */
  assertUnchanged(marks: readonly OutputMark[]): void {
    const isOurs = ({ path }: OutputMark): boolean =>
      this.single === undefined ? path.startsWith(`${this.root}${sep}`) : path === this.root;
    if (!marks.every(isOurs)) throw otherOutput(this.root);
    if (this.single !== undefined) return;
    for (const { path, key } of marks) {
      const namespace = "namespace" in key ? key.namespace : "";
      if (!this.#targets.has(namespace)) continue; // no target, or no longer bound
      const [plain, folding] = [false, true].map((folds) => join(this.root, this.#below(key, { foldsCase: folds })));
      if (path === plain || path === folding) continue;
      throw new MongotapError(
        "state",
        `${namespace} is in ${path}, and its target is now ${plain}; nothing was written`,
        { hint: "Put the target back as it was, or start over with --fresh." },
      );
    }
  }

  /**
   * Makes the directory. Call it before `pathOf`.
   * @throws MongotapError `output`; `config` when two targets would share a file
   */
  async prepare(): Promise<void> {
    if (this.single !== undefined) return;
    await makeDirectory(this.root);
    this.#options = { foldsCase: await foldsCase(this.root) };
    for (const namespace of this.#targets.keys()) {
      const path = this.#collectionBelow(namespace, this.#options);
      this.#assertFree(path, namespace);
      this.#owners.set(path, namespace);
    }
  }

  /** Returns the path of the file for `key`. @throws MongotapError `config` when that is the file of another's target */
  pathOf(key: OutputKey): string {
    if (this.single !== undefined) return this.root;
    const namespace = namespaceOf(key);
    this.#assertFree(this.#collectionBelow(namespace, this.#options), namespace);
    return join(this.root, this.#below(key, this.#options));
  }

  /**
   * `paths` are the paths of all outputs of a complete backfill. A file of another partition of the same collections, or of
   * one of them as a whole, would stay beside them, and readers of the directory would get its documents twice.
   * @throws MongotapError `output` when there is such a file
   */
  async rejectStalePartitions(paths: readonly string[]): Promise<void> {
    if (this.single !== undefined) return;
    const own = new Set(paths);
    const collections = new Set(paths.map(collectionPathOf));
    for (const directory of new Set(paths.map((path) => dirname(path)))) {
      for (const name of await namesIn(directory)) {
        const path = join(directory, name);
        if (own.has(path) || !collections.has(collectionPathOf(path))) continue;
        throw new MongotapError("output", `${path} is of an earlier backfill, which was cut otherwise`, {
          hint: "Its documents would be in the folder twice: remove its files, or choose another --out.",
        });
      }
    }
  }

  #assertFree(path: string, namespace: string): void {
    const owner = this.#owners.get(path);
    if (owner === undefined || owner === namespace) return;
    throw new MongotapError("config", `${owner} and ${namespace} would both be written to ${path}`, {
      hint: "Give one of them another target.",
    });
  }

  /** The path for `key`, relative to the root. */
  #below(key: OutputKey, options: FileNameOptions): string {
    const path = this.#collectionBelow(namespaceOf(key), options);
    return key.kind === "partition" ? partitionPathOf(path, key.partition) : path;
  }

  #collectionBelow(namespace: string, options: FileNameOptions): string {
    const target = this.#targets.get(namespace);
    return target === undefined ? fileNameOf(namespace, options) : filePathOf(target, options);
  }
}

/** @throws MongotapError `bug` for a key that has no file in a directory */
function namespaceOf(key: OutputKey): string {
  if ("namespace" in key) return key.namespace;
  throw new MongotapError("bug", `there is no file for ${key.kind} in a directory of collections`);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []; // it is made with its first file
    throw outputError("read the directory", directory, error);
  }
}

/** Longer encodings are shortened and end in a hash. With the hash and `.ndjson.partial` a name has fewer than 255 bytes. */
const LONGEST = 180;
const HEX = "0123456789ABCDEF";
/** Devices on Windows, whatever follows the first dot: `con.orders.ndjson` would open the console. */
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/i;

export interface FileNameOptions {
  /** In the directory `Users` and `users` are the same name (Windows, macOS): names with capitals get a suffix. */
  readonly foldsCase?: boolean;
}

/**
 * Returns the name of the file for `namespace` (`db.collection`), without a directory. The same namespace always has the
 * same name, and different ones have different names. Everything outside `A-Z a-z 0-9 _ -` and single inner dots is
 * percent-encoded as UTF-8, as in a URL; an encoding of more than 180 bytes keeps its beginning and ends in `~` and a hash.
 * With `foldsCase`, names differ in more than case: one with capitals ends in `~u` and a hex number, whose n-th lowest bit
 * is set where the n-th letter is a capital.
 */
export function fileNameOf(namespace: string, options: FileNameOptions = {}): string {
  return `${stemOf(namespace, options)}.ndjson`;
}

/**
 * Returns the path of the file for `target` (`acmeCo/orders`), relative to the directory of the run. Each part between
 * slashes is encoded as a namespace is, so no target leaves that directory. Empty parts are left out.
 */
export function filePathOf(target: string, options: FileNameOptions = {}): string {
  const parts = target.split("/").filter((part) => part !== "");
  return `${parts.map((part) => stemOf(part, options)).join("/")}.ndjson`;
}

/** Fixed, so that a listing has the partitions in their order. */
const PARTITION_DIGITS = 4;

/**
 * Returns the path of a partition of the collection whose file would be at `path`: `shop.orders~0003.ndjson`. No
 * collection has such a name, because `~` is encoded.
 */
export function partitionPathOf(path: string, partition: number): string {
  return path.replace(/\.ndjson$/, `~${String(partition).padStart(PARTITION_DIGITS, "0")}.ndjson`);
}

/** Returns the path that a whole collection would have if `path` is of one of its partitions, else `path`. */
function collectionPathOf(path: string): string {
  return path.replace(/~\d{4,9}(?=\.ndjson$)/, ""); // shorter than a hash, which may be all digits
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

/** UTF-8 by hand: `TextEncoder` writes U+FFFD for every lone surrogate, so two names would share a file. */
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

/** Returns the beginning of an encoding, without half an escape or a dot at its end. */
function shorten(encoded: string): string {
  return encoded.slice(0, LONGEST).replace(/%.?$|\.$/, "");
}

function hashOf(namespace: string): string {
  return createHash("sha256").update(encode(namespace)).digest("hex").slice(0, 32);
}

/** Returns one bit for each letter outside escapes, which are always in capitals. */
function capitalsOf(encoded: string): bigint {
  let bits = 0n;
  let bit = 1n;
  for (const [letter] of encoded.replaceAll(/%../g, "").matchAll(/[A-Za-z]/g)) {
    if (letter <= "Z") bits |= bit;
    bit <<= 1n;
  }
  return bits;
}
