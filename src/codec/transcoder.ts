/** What turns BSON bytes into JSON bytes, in the language of promises. */

import type { JsonWriter } from "./json-writer.ts";

/** `relaxed` and `canonical` are MongoDB Extended JSON v2; `plain` has no wrappers where JSON has a natural form. */
export type Format = "relaxed" | "canonical" | "plain";

export interface TranscoderOptions {
  /** How a value looks; docs/json.md has every type in every format. */
  readonly format: Format;
  /** Arrays as JSON arrays whose elements must be of one type, or as strings that hold their JSON; absent: as they are. */
  readonly arrays?: "array" | "string";
  /** Nested documents as JSON objects (the default), or as strings that hold their JSON. */
  readonly documents?: "document" | "string";
  /** Invalid UTF-8 is an error instead of U+FFFD. */
  readonly strict?: boolean;
}

/** Writes documents of one format. Not reentrant: one for each loop. */
export interface Transcoder {
  /** How many texts (names and strings) held invalid UTF-8 that was replaced by U+FFFD. */
  readonly counts: { readonly invalidUtf8: number };
  /**
   * Promises that `bytes` will not change before the next `load`: documents inside them are then written faster,
   * because they are taken over in large pieces. Nobody has to call it.
   */
  load(bytes: Uint8Array): void;
  /**
   * Appends `{…}` for the document at `at`, which has to end at or before `limit` (default: the end of `bytes`).
   * Throws MongotapError("data") on a corrupt document, with the writer as it was before the call.
   */
  writeDocument(writer: JsonWriter, bytes: Uint8Array, at: number, limit?: number): void;
  /**
   * Appends `"a":1,"b":2` without braces and returns whether anything was written: for envelopes that add fields of
   * their own to a document. Throws as writeDocument does.
   */
  writeMembers(writer: JsonWriter, bytes: Uint8Array, at: number, limit?: number): boolean;
  /** Appends one value of `type` at `at` … `end` as the value of a field. Throws as writeDocument does. */
  writeValue(writer: JsonWriter, bytes: Uint8Array, type: number, at: number, end: number): void;
}
