/** The contract of a transcoder, which turns BSON bytes into JSON bytes without a JavaScript object per document. */

import type { JsonWriter } from "./json-writer.ts";

/**
 * `relaxed` and `canonical` are MongoDB Extended JSON v2; `plain` has no wrappers where JSON has a natural form.
 * https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
 */
export type Format = "relaxed" | "canonical" | "plain";

export interface TranscoderOptions {
  /** docs/json.md has every type in every format. */
  readonly format: Format;
  /** `array`: elements of different types are an error. `string`: arrays become strings that hold their JSON. */
  readonly arrays?: "array" | "string";
  /** `string`: nested documents as strings that hold their JSON. Default: JSON objects. */
  readonly documents?: "document" | "string";
  /** Invalid UTF-8 is an error; otherwise it becomes U+FFFD. */
  readonly strict?: boolean;
}

/** Writes documents in one format. Not reentrant: each loop has its own. */
export interface Transcoder {
  /** `invalidUtf8`: names and strings in which invalid UTF-8 was replaced by U+FFFD. */
  readonly counts: { readonly invalidUtf8: number };
  /**
   * The caller promises that `bytes` do not change before the next `load`. Optional: documents inside `bytes` are then
   * written faster, because the kernel copies them in large blocks.
   */
  load(bytes: Uint8Array): void;
  /**
   * Appends `{…}` for the document at `at`, which must end by `limit` (default: the end of `bytes`).
   * Throws MongotapError("data"), with `writer` as it was, on a document that is corrupt or that the options forbid.
   */
  writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number, limit?: number): void;
  /**
   * Appends `"a":1,"b":2`, without braces, for envelopes that add their own fields. Returns false for an empty document.
   * Throws as writeDocument does.
   */
  writeMembers(writer: JsonWriter, bytes: Uint8Array, at: number, limit?: number): boolean;
  /**
   * Returns the bits (name-bits.ts) of the names with a leading `_` at the top of the documents that were written since the
   * last call, by any transcoder of this thread: a set bit says that it is worth looking. `_id` has none.
   */
  takeNames(): number;
  /** Appends the value of `type` at `at` … `end`, as the value of a field. Throws as writeDocument does. */
  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void;
}
