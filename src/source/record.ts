/**
 * The nouns of a source and nothing else: what a batch is, and what a position is.
 * A position is made by a source, kept by the state and handed back to the source; nobody else looks inside.
 */

export interface Namespace {
  readonly db: string;
  readonly collection: string;
}

/** `db.collection`; the database never holds a dot, the collection may (so split at the first one). */
export function nameOf(namespace: Namespace): string {
  return `${namespace.db}.${namespace.collection}`;
}

/**
 * A cluster time as 16 lower-case hex digits: 8 of seconds since 1970, 8 of increment.
 * Written so that comparing strings compares times.
 */
export type ClusterTime = string;

/** Documents as they came off the wire: views into one server reply, never copied and never decoded. */
export interface Documents {
  readonly bytes: Uint8Array;
  /** Where in `bytes` each document begins; its length is its own first int32. */
  readonly offsets: readonly number[];
}

/** Documents of one collection that a query returned. */
export interface RowBatch {
  readonly kind: "rows";
  readonly namespace: Namespace;
  readonly documents: Documents;
  /** The time at which these documents are true. */
  readonly at: ClusterTime;
  /** Where the source stands after all of `documents`. */
  readonly position: Position;
}

/** Change events of one reply of a change stream; without documents it is a heartbeat: news about the position. */
export interface EventBatch {
  readonly kind: "events";
  readonly documents: Documents;
  /** For each event a string that sorts in commit order, also against the rows of a backfill. */
  readonly orders: readonly string[];
  readonly position: Position;
}

export type Batch = RowBatch | EventBatch;

/** Where a change stream stands. */
export interface StreamPosition {
  /** The resume token, as base64 of its BSON: opaque, sent back to the server byte for byte. */
  readonly token: string;
  /** How the server wants it back; `startAfter` is needed behind an invalidate event. */
  readonly resume: "resumeAfter" | "startAfter";
  /** The time of the last event or high-water mark, and how many events of exactly that time came before. */
  readonly time: ClusterTime;
  readonly sequence: number;
}

/** How far one range of `_id` has been read. Keys are base64 of a BSON document with the one field `_id`. */
export interface RangeProgress {
  /** Inclusive; absent: from the lowest key. */
  readonly from?: string;
  /** Exclusive; absent: to the highest key. */
  readonly to?: string;
  /** The last key that has been written. */
  readonly last?: string;
  readonly done: boolean;
  readonly rows: number;
}

/** The phases in the life of a captured collection; see pipeline/capture.ts. */
export type Phase = "pinned" | "copying" | "live";

export interface CollectionProgress {
  readonly uuid: string | null;
  readonly phase: Phase;
  readonly ranges: readonly RangeProgress[];
}

/** Everything that a source needs in order to go on. JSON through and through; keys of `collections` are names. */
export interface Position {
  readonly stream?: StreamPosition;
  readonly collections: Readonly<Record<string, CollectionProgress>>;
}

/** Opens at `from` and yields one batch for each reply, until it is done or `signal` aborts (then throws its reason). */
export type Source = (from: Position | undefined, signal: AbortSignal) => AsyncIterable<Batch>;
