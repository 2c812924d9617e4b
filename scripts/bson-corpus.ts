/**
 * Runs the codec (the kernel and the walk) against MongoDB's BSON corpus. Exits 1 on any failure:
 *
 *   bun scripts/bson-corpus.ts DIR
 *
 * DIR holds the JSON files of https://github.com/mongodb/specifications/tree/master/source/bson-corpus/tests. They are
 * not part of this repository: their licence is non-commercial.
 */

import { Buffer } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { readInt32 } from "../src/codec/bson.ts";
import { JsonWriter } from "../src/codec/json-writer.ts";
import { createTranscoder, type Format, type Transcoder, type TranscoderOptions } from "../src/codec/transcode.ts";
import { Walker } from "../src/codec/walk.ts";
import { MongotapError } from "../src/errors.ts";

interface Case {
  readonly description: string;
  readonly canonical_bson: string;
  readonly degenerate_bson?: string;
  readonly canonical_extjson: string;
  readonly relaxed_extjson?: string;
}

interface Corpus {
  readonly valid?: readonly Case[];
  readonly decodeErrors?: readonly { readonly description: string; readonly bson: string }[];
  readonly parseErrors?: readonly unknown[];
}

const makers: Readonly<Record<string, (options: TranscoderOptions) => Transcoder>> = {
  kernel: createTranscoder,
  walk: (options) => new Walker(options),
};

/** JSON in one form: without whitespace, each string as JSON.stringify writes it, numbers unchanged. */
function normalised(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (token) =>
    token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : "",
  );
}

/** The documents of `hex`, as JSON without separators. */
function jsonOf(transcoder: Transcoder, hex: string): string {
  const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
  const writer = new JsonWriter();
  let at = 0;
  do {
    transcoder.writeDocument(writer, bytes, at);
    at += readInt32(bytes, at);
  } while (at < bytes.length);
  return new TextDecoder("utf-8", { fatal: true }).decode(writer.view());
}

const counts = { equal: 0, refused: 0, notOurs: 0, failed: 0 };

function fail(where: string, message: string): void {
  counts.failed++;
  console.error(`FAIL ${where}: ${message}`);
}

function expectJson(where: string, transcoder: Transcoder, hex: string, expected: string): void {
  try {
    const json = jsonOf(transcoder, hex);
    if (normalised(json) === normalised(expected)) counts.equal++;
    else fail(where, `${json} instead of ${expected}`);
  } catch (error) {
    fail(where, String(error));
  }
}

/** For formats that the corpus does not have: the output must be one line of valid JSON. */
function expectOneLine(where: string, transcoder: Transcoder, hex: string): void {
  try {
    const json = jsonOf(transcoder, hex);
    JSON.parse(json);
    if (/\s/.test(json.replaceAll(/[^\n\r\u0085\u2028\u2029]/g, ""))) fail(where, "more than one line");
    else counts.equal++;
  } catch (error) {
    fail(where, String(error));
  }
}

function expectError(where: string, transcoder: Transcoder, hex: string): void {
  try {
    fail(where, `${jsonOf(transcoder, hex)} instead of an error`);
  } catch (error) {
    if (error instanceof MongotapError && error.kind === "data") counts.refused++;
    else fail(where, String(error));
  }
}

function runCase(where: string, make: (options: TranscoderOptions) => Transcoder, test: Case): void {
  const of = (format: Format): Transcoder => make({ format, strict: true });
  expectJson(`${where} canonical`, of("canonical"), test.canonical_bson, test.canonical_extjson);
  if (test.degenerate_bson !== undefined) {
    expectJson(`${where} degenerate`, of("canonical"), test.degenerate_bson, test.canonical_extjson);
  }
  if (test.relaxed_extjson !== undefined) {
    expectJson(`${where} relaxed`, of("relaxed"), test.canonical_bson, test.relaxed_extjson);
  }
  expectOneLine(`${where} plain`, of("plain"), test.canonical_bson);
  const strings = make({ format: "relaxed", arrays: "string", documents: "string" });
  expectOneLine(`${where} strings`, strings, test.canonical_bson);
}

const directory = process.argv[2];
if (directory === undefined) {
  console.error("usage: bun scripts/bson-corpus.ts DIR");
  process.exit(2);
}
const files = readdirSync(directory).filter((name) => name.endsWith(".json"));
for (const file of files.toSorted()) {
  const corpus = JSON.parse(readFileSync(join(directory, file), "utf8")) as Corpus;
  for (const [name, make] of Object.entries(makers)) {
    for (const test of corpus.valid ?? []) runCase(`${file} (${name}) ${test.description}`, make, test);
    for (const test of corpus.decodeErrors ?? []) {
      const where = `${file} (${name}) ${test.description}`;
      expectError(where, make({ format: "relaxed", strict: true }), test.bson);
    }
  }
  // Tests of parsers of Extended JSON, which the codec does not have.
  counts.notOurs += corpus.parseErrors?.length ?? 0;
}
console.log(
  `${files.length} files: ${counts.equal} correct outputs, ${counts.refused} corrupt documents refused, ` +
    `${counts.notOurs} cases for JSON parsers skipped, ${counts.failed} failures`,
);
process.exitCode = counts.failed > 0 || files.length === 0 ? 1 : 0;
