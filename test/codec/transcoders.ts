/** The two transcoders, and their output as text. */

import { JsonWriter } from "../../src/codec/json-writer.ts";
import { createTranscoder, type Transcoder, type TranscoderOptions } from "../../src/codec/transcode.ts";
import { Walker } from "../../src/codec/walk.ts";
import { MongotapError } from "../../src/errors.ts";

/** The kernel with the walk behind it, and the walk alone. */
export const MAKERS: readonly (readonly [string, (options: TranscoderOptions) => Transcoder])[] = [
  ["createTranscoder()", createTranscoder],
  ["Walker", (options) => new Walker(options)],
];

/** Every combination of options that changes the output. */
export const ALL_OPTIONS: readonly TranscoderOptions[] = (["relaxed", "canonical", "plain"] as const).flatMap(
  (format) => [
    { format },
    { format, arrays: "string" as const },
    { format, documents: "string" as const },
    { format, arrays: "string" as const, documents: "string" as const },
    { format, arrays: "array" as const, strict: true },
    { format, arrays: "array" as const, documents: "string" as const },
  ],
);

const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The JSON of one document; also throws if it is not valid UTF-8. */
export function jsonOf(transcoder: Transcoder, bytes: Uint8Array, at = 0, limit = bytes.length): string {
  const writer = new JsonWriter(64);
  transcoder.writeDocument(writer, bytes, at, limit);
  return fatal.decode(writer.view());
}

/** The JSON, or `error: ` and the message of the MongotapError("data"). Throws any other error. */
export function outcomeOf(transcoder: Transcoder, bytes: Uint8Array, at = 0, limit = bytes.length): string {
  try {
    return jsonOf(transcoder, bytes, at, limit);
  } catch (error) {
    if (error instanceof MongotapError && error.kind === "data") return `error: ${error.message}`;
    throw error;
  }
}
