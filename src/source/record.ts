/**
 * The nouns of a source and nothing else: what a batch is, and what a position is.
 * A position is made by a source, kept by the state and handed back to the source; nobody else looks inside.
 */

import type { OutputKey } from "../lib/output-key.ts";

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
  /** Nothing else refers to the memory of `bytes`: who has encoded them may give it back (lib/give-back.ts). */
  readonly ownsMemory?: boolean;
  /** Set where a worker has encoded the documents already: `bytes` and `offsets` are empty then. */
  readonly encoded?: EncodedDocuments;
}

/** Lines that a worker has made of documents, as its encoder (protocol/) describes them. */
export interface EncodedDocuments {
  /** Of documents, those included that could not be carried. */
  readonly count: number;
  /** How many bytes of BSON they were. */
  readonly bsonBytes: number;
  readonly bytes: Uint8Array;
  readonly segments: readonly {
    readonly key: OutputKey;
    readonly begin: number;
    readonly end: number;
    readonly lines: number;
  }[];
  readonly badDocuments: number;
  readonly invalidUtf8: number;
}

/** How many there are. */
export function documentCount({ encoded, offsets }: Documents): number {
  return encoded?.count ?? offsets.length;
}

/** How many bytes of BSON they take or took. */
export function bsonBytes({ encoded, bytes }: Documents): number {
  return encoded?.bsonBytes ?? bytes.length;
}

/** Documents of one collection that a query returned. */
export interface RowBatch {
  readonly kind: "rows";
  readonly namespace: Namespace;
  /** Which part of the collection they are of, where each part has a file of its own (--split). */
  readonly partition?: number;
  readonly documents: Documents;
  /** The time at which these documents are true. */
  readonly at: ClusterTime;
  /** Where the source stands after all of `documents`; undefined where it could not go on from here. */
  readonly position: Position | undefined;
}

/** Change events of one reply of a change stream; without documents it is a heartbeat: news about the position. */
export interface EventBatch {
  readonly kind: "events";
  readonly documents: Documents;
  /** For each event a string that sorts in commit order, also against the rows of a backfill. */
  readonly sortKeys: readonly string[];
  /** Watched collections that came to an end with one of these events. */
  readonly ends?: readonly CollectionEnd[];
  readonly position: Position;
}

/**
 * `gone`: dropped or renamed away; if one of that name comes again, the stream tells of it from its first document on.
 * `replaced`: another collection was given its name, whose documents the stream has not told under it.
 */
export interface CollectionEnd {
  /** `db.collection` */
  readonly name: string;
  readonly how: "gone" | "replaced";
  /** The order of the event that told of it. */
  readonly sortKey: string;
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
  /** The bindings that the stream was filtered by, when the token is of an event: another filter could hide that event. */
  readonly filter?: readonly string[];
}

/** How far one range of `_id` has been read. Keys are base64 of a BSON document with the one field `_id`. */
export interface RangeProgress {
  /** Inclusive; absent: from the lowest key. */
  readonly from?: string;
  /** Exclusive; absent: to the highest key. */
  readonly to?: string;
  /** Which of the ranges of its collection it is, where each has an output of its own. */
  readonly partition?: number;
  /** The last key that has been written. */
  readonly last?: string;
  readonly done: boolean;
  readonly documents: number;
}

/** The phases in the life of a captured collection; see pipeline/capture.ts. */
export type Phase = "pinned" | "copying" | "live" | "stale";

export interface CollectionProgress {
  readonly uuid: string | null;
  readonly phase: Phase;
  readonly ranges: readonly RangeProgress[];
}

/** Everything that a source needs in order to go on. JSON through and through; keys of `collections` are names. */
export interface Position {
  readonly stream?: StreamPosition;
  readonly collections: Readonly<Record<string, CollectionProgress>>;
  /** How often the history was lost since everything was live; see pipeline/history.ts. */
  readonly losses?: number;
}

/** One reply's worth of a range. */
export interface Chunk {
  readonly documents: Documents;
  /** The time at which the documents are true; where not `exact`, a time that they are not older than. */
  readonly at: ClusterTime;
  /** No document is newer than `at`. */
  readonly exact: boolean;
  readonly progress: RangeProgress;
}

/** An open change stream. */
export interface EventStream extends AsyncDisposable {
  readonly position: StreamPosition;
  /** What has happened up to this time may not be told: copies that go with the stream must not be older. */
  readonly startsAfter: ClusterTime;
  /** The server's own last operation at that time: ahead of the majority while other members lag or are gone. */
  readonly serverTime: ClusterTime;
  /** Whether every event up to and including `time` has been returned. Never while `next` has an end to tell. */
  hasPassed(time: ClusterTime): boolean;
  /**
   * The next reply, after at most about `awaitMs` where there is no event. Its position speaks of the stream only.
   * @throws MongotapError, `ended` after the events that belong to a watched collection's end have been returned
   */
  next(awaitMs: number): Promise<EventBatch>;
  /** Splits a batch behind its first `count` events (1 to all but one), each part with its own position. */
  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch];
}

/**
 * Opens at `from` and yields one batch for each reply, until it is done, `limit` documents have come, or `signal`
 * aborts (then it throws the signal's reason).
 */
export type Source = (from: Position | undefined, signal: AbortSignal, limit: number) => AsyncIterable<Batch>;
