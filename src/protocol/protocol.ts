/** The contract of an encoder: batches in, lines out. */

import type { Batch, EncodedLines } from "../source/record.ts";
import type { LineNote } from "./envelope.ts";
import type { Segment } from "../sink/sink.ts";

export interface Encoded {
  /** Complete lines; valid until the next call of `encode`. */
  readonly bytes: Uint8Array;
  readonly segments: readonly Segment[];
  readonly lines: number;
}

/** Counts of what the output lacks by the user's choice of options; reported at the end of a run. */
export interface Omissions {
  /** Deletes that an envelope without operations cannot show. */
  deletes: number;
  /** Ends of collections that the envelope cannot show. */
  ends: number;
  /** Their names: `db.collection`. */
  readonly ended: ReadonlySet<string>;
  /** Updates by what had to be said about their document: `mayBeNewer` ones have one, the others have none. */
  readonly updates: Readonly<Record<LineNote, number>>;
  /** Events of an unknown operation type, by operation type. */
  readonly unknownEvents: ReadonlyMap<string, number>;
  /** Strings and names in which U+FFFD replaces invalid UTF-8. */
  invalidUtf8: number;
  /** Documents and events that cannot be carried and were skipped or quarantined. */
  badDocuments: number;
  /** By field of the envelope, the documents with a field of that name of their own, which the envelope hides. */
  readonly hiddenFields: ReadonlyMap<string, number>;
  /** By collection, how many `_id`s of each type, where plain JSON may write some of different types alike. */
  readonly idsAlike: ReadonlyMap<string, readonly (readonly [type: string, count: number])[]>;
}

/** What a worker has noted of the lines that it sends. */
export type Notes = Pick<EncodedLines, "hiddenFields" | "idTypes">;

export interface Encoder {
  /** Throws MongotapError("data") for a document that cannot be carried, unless it is skipped or quarantined. */
  encode(batch: Batch): Encoded;
  /** Returns the counts as of now; they grow with each batch. */
  omissions(): Readonly<Omissions>;
  /** Returns a function that sets the counts back to what they are now, for lines that are taken back. */
  savepoint(): () => void;
  /** Returns and forgets what was noted since the last call. For workers, whose main thread keeps the counts. */
  takeNotes(): Notes;
}
