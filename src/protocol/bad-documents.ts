/**
 * Documents that cannot be carried: the run fails (`fail`), or the document is omitted and counted (`skip`), or it is
 * written to the quarantine file (`quarantine`) as one line with its bytes.
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

/** The error for a bad document: namespace, _id if it can be read, and reason. */
export function badDocumentError(bad: BadDocument, transcoder: Transcoder): MongotapError {
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

/** A longer _id is cut in messages. */
const MAX_SHOWN_CHARACTERS = 200;
const ID_FIELD = { document: new TextEncoder().encode("_id"), event: new TextEncoder().encode("documentKey") } as const;

/** The JSON of the `_id` of a document, or of the `documentKey` of an event; undefined if it is missing or corrupt. */
function idOf({ bytes, at, kind }: BadDocument, transcoder: Transcoder): string | undefined {
  const walker = new ElementWalker();
  const writer = new JsonWriter(1024);
  const name = ID_FIELD[kind];
  try {
    walker.start(bytes, at);
    while (walker.next()) {
      if (!walker.nameIs(name)) continue;
      transcoder.writeValue(writer, bytes, walker.type, walker.valueBegin, walker.valueEnd);
      const text = new TextDecoder().decode(writer.view());
      return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
    }
  } catch {
    return undefined; // the caller reports the error of the document
  }
  return undefined;
}

/** Appends the quarantine line: the error, and the bytes as base64. A length beyond `bytes` is cut. */
export function writeQuarantined(writer: JsonWriter, { namespace, bytes, at, kind, error }: BadDocument): void {
  const end = Math.min(bytes.length, at + Math.max(5, readInt32(bytes, at)));
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString("base64");
  const line = JSON.stringify({ namespace, kind, error: error.message, bson: base64 });
  const text = new TextEncoder().encode(`${line}\n`);
  writer.writeBytes(text, 0, text.length);
}
