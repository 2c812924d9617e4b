/**
 * Documents that cannot be carried: the run ends with an error (`fail`), or the document is left out and counted (`skip`), or
 * it is written to the quarantine file as a line that holds its bytes (`quarantine`).
 */

import { ElementWalker, readInt32 } from "../codec/bson.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import type { Transcoder } from "../codec/transcoder.ts";
import { MongotapError } from "../errors.ts";

export type BadDocumentPolicy = "fail" | "skip" | "quarantine";

export interface BadDocument {
  /** `db.collection` */
  readonly namespace: string;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly kind: "document" | "event";
  readonly error: MongotapError;
}

/** Returns an error that names the document, by its `_id` where that can be read, and what is wrong with it. */
export function describeBad(bad: BadDocument, transcoder: Transcoder): MongotapError {
  const { namespace, error } = bad;
  const id = idOf(bad, transcoder);
  const which = bad.kind === "event" ? "a change of a document" : "a document";
  return new MongotapError(
    "data",
    `${namespace}: ${which}${id === undefined ? "" : ` with _id ${id}`}: ${error.message}`,
    {
      hint: "Repair it in the source, or say --on-bad-document skip or quarantine=FILE.",
      cause: error,
    },
  );
}

/** The most characters of an `_id` in a message. */
const MOST_ID_LENGTH = 200;
const NAMES = ["_id", "documentKey"].map((name) => new TextEncoder().encode(name));

/** Returns the JSON of the document's `_id`; undefined where the bytes are too broken. */
function idOf({ bytes, at, kind }: BadDocument, transcoder: Transcoder): string | undefined {
  const walker = new ElementWalker();
  const writer = new JsonWriter(1024);
  const wanted = NAMES[kind === "event" ? 1 : 0];
  try {
    walker.start(bytes, at);
    while (walker.next()) {
      if (wanted === undefined || !walker.nameIs(wanted)) continue;
      transcoder.writeValue(writer, bytes, walker.type, walker.valueBegin, walker.valueEnd);
      const text = new TextDecoder().decode(writer.view());
      return text.length > MOST_ID_LENGTH ? `${text.slice(0, MOST_ID_LENGTH)}…` : text;
    }
  } catch {
    return undefined; // the error of the document itself is reported
  }
  return undefined;
}

/** Appends a JSON line: what is wrong, and the document's bytes as base64. */
export function writeQuarantined(writer: JsonWriter, { namespace, bytes, at, kind, error }: BadDocument): void {
  const end = Math.min(bytes.length, at + Math.max(5, readInt32(bytes, at)));
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString("base64");
  const line = JSON.stringify({ namespace, kind, error: error.message, bson: base64 });
  const text = new TextEncoder().encode(`${line}\n`);
  writer.writeBytes(text, 0, text.length);
}
