/** What the pump demands of an output format: batches in, lines out. */

import type { Batch } from "../source/record.ts";
import type { Segment } from "../sink/sink.ts";

export interface Encoded {
  /** Whole lines. Valid until the next call of `encode`. */
  readonly bytes: Uint8Array;
  readonly segments: readonly Segment[];
  readonly lines: number;
}

/** What was left out or could not be had, by the user's choice of envelope; told at the end of a run. */
export interface Omissions {
  /** Deletes that an envelope without operations cannot show. */
  deletes: number;
  /** Updates whose document was gone when the server looked it up. */
  missingDocuments: number;
  /** Events of a kind that this version does not know, by that kind. */
  readonly unknownEvents: ReadonlyMap<string, number>;
  /** Strings with invalid UTF-8, written with U+FFFD in its place. */
  invalidUtf8: number;
  /** Documents and events that cannot be carried, left out or put into quarantine by the user's choice. */
  badDocuments: number;
}

export interface Encoder {
  /** @throws MongotapError `data` for a document that cannot be carried; nothing of the batch counts then. */
  encode(batch: Batch): Encoded;
  readonly omissions: Readonly<Omissions>;
}
