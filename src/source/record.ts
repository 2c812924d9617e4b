/**
 * The types of what a source yields, batches and positions, with the functions to read them. A position is opaque to the
 * sink and to the pump: the source returns it, the state saves it, and the next run gives it to the source.
 */

import type { OutputKey } from "../lib/output-key.ts";

export interface Namespace {
  readonly db: string;
  readonly collection: string;
}

/** What is to be read: one collection, or every present and future collection of a database but those in `except`. */
export interface Binding {
  readonly db: string;
  readonly collection?: string;
  readonly except?: readonly string[];
}

/** `db.collection`; the database never holds a dot, the collection may (so split at the first one). */
export function nameOf(namespace: Namespace): string {
  return `${namespace.db}.${namespace.collection}`;
}

declare const clusterTimeBrand: unique symbol;
declare const sortKeyBrand: unique symbol;

/**
 * A BSON timestamp as 16 lower-case hex digits: 8 of seconds since 1970, 8 of the increment within that second. Comparing
 * the strings compares the times.
 */
export type ClusterTime = string & { readonly [clusterTimeBrand]: true };

/** Before every real cluster time. */
export const BEGINNING = "0".repeat(16) as ClusterTime;

/** Seconds and increment are unsigned 32-bit integers. */
export function clusterTime(seconds: number, increment: number): ClusterTime {
  writeHex32(seconds, 0);
  writeHex32(increment, 8);
  return digits.toString("latin1", 0, 16) as ClusterTime;
}

export function isClusterTime(text: string): text is ClusterTime {
  return /^[0-9a-f]{16}$/.test(text);
}

/** Seconds since 1970. */
export function secondsOf(time: ClusterTime): number {
  return Number.parseInt(time.slice(0, 8), 16);
}

/** The increment within the second. */
export function incrementOf(time: ClusterTime): number {
  return Number.parseInt(time.slice(8), 16);
}

/**
 * A cluster time and, as 8 hex digits, a sequence number within it. Comparing the strings compares the commit order of
 * events and of the documents of a backfill.
 */
export type SortKey = string & { readonly [sortKeyBrand]: true };

/** The key of the event number `sequence`, counted from 1, among those of exactly `time`. */
export function sortKey(time: ClusterTime, sequence: number): SortKey {
  writeHex32(sequence, 16);
  return (time + digits.toString("latin1", 16)) as SortKey;
}

/** The key of documents that are true at `time`: behind all events of that time. */
export function rowsSortKey(time: ClusterTime): SortKey {
  return sortKey(time, 0xffffffff);
}

export function sortKeyTime(key: SortKey): ClusterTime {
  return key.slice(0, 16) as ClusterTime;
}

/** The increment of its time. */
export function sortKeyIncrement(key: SortKey): number {
  return Number.parseInt(key.slice(8, 16), 16);
}

export function sortKeySequence(key: SortKey): number {
  return Number.parseInt(key.slice(16), 16);
}

/** As `sortKey(clusterTime(seconds, increment), sequence)`, made at once. */
export function sortKeyOf(seconds: number, increment: number, sequence: number): SortKey {
  writeHex32(seconds, 0);
  writeHex32(increment, 8);
  writeHex32(sequence, 16);
  return digits.toString("latin1") as SortKey;
}

/** Of a sort key. */
const digits = Buffer.alloc(24);

/** Writes an unsigned 32-bit integer as 8 lower-case digits. */
function writeHex32(value: number, at: number): void {
  let rest = value;
  for (let i = at + 7; i >= at; i--) {
    const digit = rest & 15;
    digits[i] = digit < 10 ? 0x30 + digit : 0x57 + digit;
    rest >>>= 4;
  }
}

/** The documents of one batch: BSON, or the lines that a worker has encoded. */
export type Documents = BsonDocuments | EncodedDocuments;

/** What both kinds of documents have. Sizes stay readable after `release`. */
interface AnyDocuments {
  /** Includes the documents that cannot be carried. */
  readonly count: number;
  /** The size of the BSON reply that the documents came in, in bytes. */
  readonly byteLength: number;
  /**
   * Releases the memory of the bytes. Call it once, when nothing needs the bytes any more.
   * @throws MongotapError `bug` on the second call
   */
  release(): void;
}

/**
 * Documents as they came off the wire: views into one server reply, never copied and never decoded.
 * `bytes` and `offsets` throw a MongotapError `bug` after `release` (reply-memory.ts).
 */
export interface BsonDocuments extends AnyDocuments {
  readonly kind: "bson";
  readonly bytes: Uint8Array;
  /** Where in `bytes` each document begins; its length is its own first int32. */
  readonly offsets: readonly number[];
  /** Returns the documents at these offsets. The result replaces this object and takes over its memory. */
  only(offsets: readonly number[]): BsonDocuments;
  /** Returns the first `count` documents and the others. They replace this object: both are to be released. */
  split(count: number): readonly [BsonDocuments, BsonDocuments];
}

/** Lines that a worker has encoded. `lineBytes` throws a MongotapError `bug` after `release` (reply-memory.ts). */
export interface EncodedDocuments extends AnyDocuments, Omit<EncodedLines, "lineBytes"> {
  readonly kind: "encoded";
  readonly lineBytes: Uint8Array;
}

/** Documents as lines: plain data, which a worker can send to another thread. */
export interface EncodedLines {
  readonly count: number;
  readonly byteLength: number;
  /** Whole NDJSON lines. */
  readonly lineBytes: Uint8Array;
  readonly segments: readonly {
    readonly key: OutputKey;
    readonly begin: number;
    readonly end: number;
    readonly lines: number;
  }[];
  readonly badDocuments: number;
  readonly invalidUtf8: number;
  readonly hiddenFields: readonly (readonly [field: string, documents: number])[];
  readonly idTypes: readonly IdTypeCount[];
}

/** How many `_id`s of one collection (`db.collection`) have one type (protocol/id-types.ts). */
export type IdTypeCount = readonly [name: string, type: number, count: number];

/** For batches that carry a position only. */
export const NO_DOCUMENTS: BsonDocuments = {
  kind: "bson",
  count: 0,
  byteLength: 0,
  bytes: new Uint8Array(0),
  offsets: [],
  only: () => NO_DOCUMENTS,
  split: () => [NO_DOCUMENTS, NO_DOCUMENTS],
  release: () => undefined,
};

/** Documents of one collection that a query returned. */
export interface RowBatch {
  readonly kind: "rows";
  readonly namespace: Namespace;
  /** The partition that they are of, where each has a file of its own (--split). */
  readonly partition?: number;
  readonly documents: Documents;
  /** The number of the copy that they are of; absent: the first. */
  readonly copy?: number;
  /** The time at which these documents are true. */
  readonly at: ClusterTime;
  /** The position behind all of `documents`; undefined where a source cannot resume there. */
  readonly position: Position | undefined;
  /** The first `count` documents, at least 1 and not all, with the position behind them. Set where there are several. */
  readonly head?: (count: number) => RowBatch;
}

/** Change events of one reply of a change stream; without documents it is a heartbeat: news about the position. */
export interface EventBatch {
  readonly kind: "events";
  readonly documents: BsonDocuments;
  /** One for each event, in ascending order. */
  readonly sortKeys: readonly SortKey[];
  /** Events that the server could not send. The batch has no others: it is never split. */
  readonly passedOver?: readonly PassedOver[];
  /** Some events may be updates without their document. */
  readonly lacksDocuments?: boolean;
  /** Events were left out of the reply, also of documents that this batch has later events of. */
  readonly lacksEvents?: true;
  /** One for each event: the document that was looked up for it. Absent: none was. */
  readonly fullDocuments?: readonly (FoundDocument | undefined)[];
  /** One for each event. Absent: none has a note. */
  readonly notes?: readonly (DocumentNote | undefined)[];
  /**
   * The bound collections that ended, in ascending order of their sort keys: with events of this batch, or, in a batch
   * without documents, because they are copied again.
   */
  readonly ends?: readonly CollectionEnd[];
  /** The bound collections whose documents its events change, each with the sort key of its last such event. */
  readonly changed?: ReadonlyMap<string, SortKey>;
  readonly position: Position;
  /** As for rows; set by sources, not by a stream, which has `split`. */
  readonly head?: (count: number) => EventBatch;
}

/** A document that was looked up, or computed: its place in `bytes`. */
export interface FoundDocument {
  readonly bytes: Uint8Array;
  readonly begin: number;
}

/** An event that is passed over because it is too large for the server to send. */
export interface PassedOver {
  /** `db.collection`; the bindings of the stream where it is unknown. */
  readonly namespace: string;
  /** What the server could send of it, as BSON. */
  readonly bytes: Uint8Array;
  /** What it is, in words, for messages. */
  readonly reason: string;
}

/**
 * About the document of an update. `mayBeNewer`: it was read after the event, so later changes may be in it. `deleted`: there
 * is none, because the same transaction deleted it. `unavailable`: there is none, because the version is no longer readable,
 * and the document or its collection has gone since.
 */
export type DocumentNote = "mayBeNewer" | "deleted" | "unavailable";

/** All that the output holds about a collection from before is void (docs/decisions/014-the-end-of-a-collection.md). */
export interface CollectionEnd {
  /** `db.collection` */
  readonly name: string;
  /**
   * - `dropped`, `renamed`: the stream has all documents of a later collection of this name.
   * - `replaced`: another collection was renamed to this name; the stream does not have its documents.
   * - `copied again`: its changes were not read for a while, so it is copied anew.
   */
  readonly reason: "dropped" | "renamed" | "replaced" | "copied again";
  /** Where it was renamed: its new name. */
  readonly renamedTo?: string;
  /** Where it was replaced: the former name of the new collection; absent where that was a temporary name of the server. */
  readonly renamedFrom?: string;
  /** Of the event that reported it; where there is none, before everything that the stream returns. */
  readonly sortKey: SortKey;
  /** Milliseconds since 1970. */
  readonly ms: number;
}

export type Batch = RowBatch | EventBatch;

/** The position of a change stream. */
export interface StreamPosition {
  /** The resume token, as base64 of its BSON: opaque, sent back to the server byte for byte. */
  readonly token: string;
  /** The option of `$changeStream` that takes it; `startAfter` is needed behind an invalidate event. */
  readonly resume: "resumeAfter" | "startAfter";
  /** The time of the last event or high-water mark, and how many events of exactly that time have been returned. */
  readonly time: ClusterTime;
  readonly sequence: number;
  /** The bindings that the stream was filtered by, when the token is of an event: another filter could hide that event. */
  readonly filter?: readonly Binding[];
}

/**
 * How far one range of `_id` has been read; of a time series, a range of the `_id` of its buckets. Keys are base64 of a BSON
 * document with the one field `_id` (bson-key.ts).
 */
export interface RangeProgress {
  /** Inclusive; absent: from the lowest key. */
  readonly from?: string;
  /** Exclusive; absent: to the highest key. */
  readonly to?: string;
  /** Its number among the ranges of its collection, where each has an output of its own. */
  readonly partition?: number;
  /** The last key that has been written. */
  readonly last?: string;
  readonly done: boolean;
  /** How many have been written. */
  readonly documents: number;
}

/**
 * Where a collection is in its life. A backfill enters `copying` and stays there, also when every range is done.
 * A capture goes from `pinned` over `copying` to `live`:
 *
 * - `pinned`, entered when the stream is opened: its position is saved, and no document has been read.
 * - `copying`, entered with the first chunk. A crash repeats the chunks that are not committed.
 * - `live`, entered with the last chunk, or with the first event of a collection that was created later: the stream
 *   reports it.
 * - `stale`, entered when the history is lost, when another collection is renamed to this name, or when it is bound again:
 *   the next opening of the source makes it `pinned` again and copies it anew.
 * - `unbound`, entered when a later run does not bind it any more.
 *
 * A collection that is dropped or renamed away has no state.
 */
export type CollectionState = Pinned | Copying | Live | Stale | Unbound;

interface Pinned {
  readonly phase: "pinned";
  /** Of the collection on the server; null where it has none. */
  readonly uuid: string | null;
  /** The number of its copy; absent: the first. */
  readonly copy?: number;
}

export interface Copying {
  readonly phase: "copying";
  readonly uuid: string | null;
  readonly copy?: number;
  readonly ranges: NonEmpty<RangeProgress>;
}

interface Live {
  readonly phase: "live";
  /** What its backfill has read: how many documents, in how many ranges. Both are 0 where the stream had all of them. */
  readonly copied: { readonly documents: number; readonly ranges: number };
}

interface Stale {
  readonly phase: "stale";
  /** The output says already that what it holds about the collection is void. */
  readonly voided: boolean;
}

/** Its lines are still in the output: it is copied anew when it is bound again. */
interface Unbound {
  readonly phase: "unbound";
}

export type NonEmpty<T> = readonly [T, ...(readonly T[])];

/** Everything that a source needs in order to go on, as JSON. The keys of `collections` are `db.collection`. */
export interface Position {
  readonly stream?: StreamPosition;
  readonly collections: Readonly<Record<string, CollectionState>>;
  /** How often the history was lost since all collections were live (pipeline/lost-history.ts); absent: never. */
  readonly losses?: number;
  /** The number of the last copy that replaced another; absent: there was none, and the first such copy is number 2. */
  readonly copies?: number;
}

/** One reply's worth of a range. */
export interface Chunk<D extends Documents = Documents> {
  readonly documents: D;
  /** The time at which the documents are true; where not `exact`, a time that they are not older than. */
  readonly at: ClusterTime;
  /** No document is newer than `at`. */
  readonly exact: boolean;
  readonly progress: RangeProgress;
  /** `progress` counts these documents, but no read can go on behind them. */
  readonly partial?: true;
}

/** An open change stream. */
export interface EventStream extends AsyncDisposable {
  readonly position: StreamPosition;
  /** Events up to this time may be missing from the stream: what is copied beside it must not be older. */
  readonly startsAfter: ClusterTime;
  /** The server's own last operation when the stream was opened: ahead of the majority while other members lag or are gone. */
  readonly serverTime: ClusterTime;
  /** The event with which it ended has been returned: `next` throws. */
  readonly hasEnded: boolean;
  /** Whether every event up to and including `time` has been returned; false once the stream has ended, so that `next` throws. */
  hasPassed(time: ClusterTime): boolean;
  /**
   * Resolves to the next reply: with events, or without after about `awaitMs`. Its position is of the stream only.
   * @throws MongotapError, `ended` when the terminal events of a watched collection have been returned
   */
  next(awaitMs: number): Promise<EventBatch>;
  /** Splits a batch behind its first `count` events (at least 1, not all); each part has its own position. */
  split(batch: EventBatch, count: number): readonly [EventBatch, EventBatch];
}

/**
 * Opens at `from` and yields one batch for each reply until it is done; throws the reason of `signal` when that aborts.
 * `wanted` is a hint for how much to read at once: the consumer takes at most that many documents.
 */
export type Source = (from: Position | undefined, signal: AbortSignal, wanted: number) => AsyncIterable<Batch>;
