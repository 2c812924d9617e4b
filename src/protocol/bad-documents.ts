/**
 * What happens to a document that cannot be carried: the run ends with it (`fail`), it is left out and counted
 * (`skip`), or it is written to a file of its own (`quarantine`) as one line that holds its bytes.
 */

import { ElementWalker, readInt32 } from "../codec/bson.ts";
import { JsonWriter } from "../codec/json-writer.ts";
import type { Transcoder } from "../codec/transcoder.ts";
import { MongotapError } from "../errors.ts";

export type BadDocumentPolicy = "fail" | "skip" | "quarantine";

/** The namespace of segments that belong into the quarantine file; no collection can be called so. */
export const QUARANTINE = "\0quarantine";

export interface BadDocument {
  /** `db.collection` */
  readonly namespace: string;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly kind: "document" | "event";
  readonly error: MongotapError;
}

/** Says which document it is, as far as that can be told, as well as what is wrong with it. */
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

const SHOWN = 200;
const NAMES = ["_id", "documentKey"].map((name) => new TextEncoder().encode(name));

/** The JSON of the `_id`, of an event that of its document; undefined where the bytes are too broken to tell. */
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
      return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
    }
  } catch {
    return undefined; // what is wrong with the document is already being told
  }
  return undefined;
}

/** Appends one JSON line: what is wrong, and the document's bytes as base64. */
export function writeQuarantined(writer: JsonWriter, { namespace, bytes, at, kind, error }: BadDocument): void {
  const end = Math.min(bytes.length, at + Math.max(5, readInt32(bytes, at)));
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString("base64");
  const line = JSON.stringify({ namespace, kind, error: error.message, bson: base64 });
  const text = new TextEncoder().encode(`${line}\n`);
  writer.writeBytes(text, 0, text.length);
}
