/** Checks the output of a contestant: a fast run with wrong output must not win. */

import { closeSync, openSync, readSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { BSON } from "mongodb";
import { objectIdOf, type TestDocument } from "../../test/support/documents.ts";

interface Expected {
  readonly documents: number;
  readonly make: (number: number) => TestDocument;
}

interface Examined {
  readonly bytes: number;
  /** Of all lines, whatever their order. */
  readonly digest: string;
}

const PIECE = 8 * 1024 * 1024;
const NEWLINE = 10;
/** About this many documents are compared field by field with the inserted ones. */
const COMPARED = 500;
const ID_BEGIN = '{"_id":{"$oid":"';
const ID_LENGTH = 24;

/** Checks NDJSON in one pass: each document exactly once, and a sample of them in full. Throws at the first fault. */
function examineLines(path: string, expected: Expected): Examined {
  const seen = new Uint8Array(expected.documents);
  const step = Math.max(1, Math.floor(expected.documents / COMPARED));
  let lines = 0;
  let bytes = 0;
  let digest = 0n;
  for (const line of linesOf(path)) {
    lines += 1;
    bytes += line.length + 1;
    digest += BigInt(Bun.hash(line));
    const number = numberOf(line);
    if (number === undefined || number >= expected.documents) throw new Error(`line ${lines} has a foreign _id`);
    if (seen[number] === 1) throw new Error(`document ${number} came twice`);
    seen[number] = 1;
    if (number % step === 0) compare(line, expected.make(number), lines);
  }
  if (lines !== expected.documents) throw new Error(`${lines} lines, not ${expected.documents}`);
  return { bytes, digest: BigInt.asUintN(64, digest).toString(16).padStart(16, "0") };
}

/** Examines the files of one contestant, which must write the same lines in every run. */
export class LineChecker {
  readonly #expected: Expected;
  #digest: string | undefined;

  constructor(expected: Expected) {
    this.#expected = expected;
  }

  /** Returns the bytes of the file; throws when something is wrong with it. */
  check(path: string): number {
    const { digest, bytes } = examineLines(path, this.#expected);
    this.#digest ??= digest;
    if (digest !== this.#digest) throw new Error("two runs have written different lines");
    return bytes;
  }
}

/** Counts the documents of a file of BSON, such as mongodump's. Throws when their lengths do not add up. */
export function countBson(path: string, size: number): number {
  const descriptor = openSync(path, "r");
  try {
    const length = Buffer.alloc(4);
    let count = 0;
    let at = 0;
    while (at < size) {
      if (readSync(descriptor, length, 0, 4, at) !== 4) throw new Error("a document is cut off");
      at += length.readInt32LE(0);
      count += 1;
    }
    if (at !== size) throw new Error("a document is cut off");
    return count;
  } finally {
    closeSync(descriptor);
  }
}

/** The lines without their newlines; each is valid until the next is asked for. */
function* linesOf(path: string): Generator<Buffer, void, undefined> {
  const descriptor = openSync(path, "r");
  try {
    let buffer = Buffer.alloc(PIECE);
    let kept = 0;
    for (;;) {
      if (kept === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
      const count = readSync(descriptor, buffer, kept, buffer.length - kept, null);
      if (count === 0) break;
      const filled = buffer.subarray(0, kept + count);
      let begin = 0;
      for (let end = filled.indexOf(NEWLINE, kept); end >= 0; end = filled.indexOf(NEWLINE, begin)) {
        yield filled.subarray(begin, end);
        begin = end + 1;
      }
      buffer.copyWithin(0, begin, filled.length);
      kept = filled.length - begin;
    }
    if (kept > 0) throw new Error("the last line is not complete");
  } finally {
    closeSync(descriptor);
  }
}

/** The number that `objectIdOf` made the `_id` of; undefined for any other. */
function numberOf(line: Buffer): number | undefined {
  if (line.toString("latin1", 0, ID_BEGIN.length) !== ID_BEGIN) return undefined;
  const id = line.toString("latin1", ID_BEGIN.length, ID_BEGIN.length + ID_LENGTH);
  const number = (Number.parseInt(id.slice(0, 8), 16) - 1_700_000_000) * 1_000 + Number.parseInt(id.slice(18), 16);
  return number >= 0 && objectIdOf(number).toHexString() === id ? number : undefined;
}

function compare(line: Buffer, document: TestDocument, number: number): void {
  const { _meta, ...written } = JSON.parse(line.toString("utf8"), dateByValue) as TestDocument;
  const wanted: unknown = JSON.parse(BSON.EJSON.stringify(document, { relaxed: true }), dateByValue);
  if (!isDeepStrictEqual(written, wanted)) throw new Error(`line ${number} is not the document that was inserted`);
}

/** mongoexport writes `.69Z` where others write `.690Z`. */
function dateByValue(key: string, value: unknown): unknown {
  return key === "$date" && typeof value === "string" ? Date.parse(value) : value;
}
