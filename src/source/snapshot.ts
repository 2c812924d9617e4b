/**
 * Reads ranges of `_id` in chunks. A chunk is one `find` with one reply: no cursor stays open that could time out, be killed
 * or move to another server, and every chunk has its own cluster time, at which it is true.
 *
 * The bounds are index bounds (`min`/`max` with `hint`): the query operators compare within one type only, and would miss
 * documents of a collection with `_id`s of several types. `max` is exclusive, so `_id: MaxKey` needs a read of its own.
 * https://www.mongodb.com/docs/manual/reference/method/cursor.min/
 */

import { MaxKey, type MongoClient } from "mongodb";
import { BSON } from "../codec/bson.ts";
import { ServerCode, serverCodeOf } from "../connect/server-errors.ts";
import { MongotapError, must } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { fromText, keyOf, MAX_KEY, sameKey } from "./bson-key.ts";
import type { CollectionInfo } from "./catalog.ts";
import { later, timestampOf } from "./cluster-time.ts";
import { type CursorReply, killCursor, readCursor } from "./cursor-reply.ts";
import { ID_OF_DOCUMENT, withNumberedArrays } from "./index-bytes.ts";
import { element, type RawCommand, rawValue } from "./raw-bson.ts";
import {
  BEGINNING,
  type BsonDocuments,
  type Chunk,
  type ClusterTime,
  type Documents,
  nameOf,
  type RangeProgress,
} from "./record.ts";

export interface SnapshotSettings {
  readonly client: MongoClient;
  readonly info: Pick<CollectionInfo, "namespace" | "capped">;
  /** Standalone servers do not support read concern `snapshot`. */
  readonly standalone: boolean;
  /** The approximate size of a chunk, in bytes. The server ends a reply at 16 MB in any case. */
  readonly chunkBytes: number;
  /** No read is older than this: majority reads wait for it, snapshot reads are checked. */
  readonly notBefore: ClusterTime | undefined;
  /** The time of all reads; it must be within the server's snapshot window (300 s). Default: now. */
  readonly at?: ClusterTime | undefined;
  /** The approximate number of documents in a closed range; the first command asks for all of them. */
  readonly expected?: number | undefined;
}

const FIRST_CHUNK_DOCUMENTS = 1_000;
/** Chunks below this are small on purpose (a rate, little memory), and worth more commands. */
const SMALL_CHUNK_BYTES = 1024 * 1024;
/** The assumed size of a document before the first one is known, where chunks are small. */
const ASSUMED_DOCUMENT_BYTES = 16 * 1024;
/** How long the server may wait until its majority reaches the time of a read. */
const MAX_TIME = { maxTimeMS: 60_000 };
/** A new collection or index has no snapshot for a short time. */
const SNAPSHOT_ATTEMPTS = 20;

/**
 * Yields the chunks of a range from `progress` on, until its end or `limit` documents.
 * @throws MongotapError `connect`, `auth`, `data`
 */
export async function* readRange(
  settings: SnapshotSettings,
  progress: RangeProgress,
  signal: AbortSignal,
  limit = Infinity,
): AsyncGenerator<Chunk<BsonDocuments>> {
  let at = progress;
  // More than expected: documents may have been inserted since they were counted.
  let size = settings.expected === undefined ? firstCount(settings.chunkBytes) : Math.ceil(settings.expected * 1.25);
  let left = limit;
  while (!at.done) {
    const chunk = await readChunk(settings, at, Math.min(size, left), signal);
    left -= chunk.documents.count;
    size = nextCount(chunk.documents, size, settings.chunkBytes);
    at = chunk.progress;
    yield chunk;
    if (left <= 0) return;
  }
}

async function readChunk(
  settings: SnapshotSettings,
  at: RangeProgress,
  size: number,
  signal: AbortSignal,
): Promise<Chunk<BsonDocuments>> {
  const reply = await findNext(settings, at, size, signal);
  const documents = firstOf(reply.documents, size);
  const { bytes, offsets } = documents;
  const end = offsets.at(-1);
  if (end !== undefined) {
    const last = keyOf(bytes, end);
    const done = last === MAX_KEY || (reply.hasNoMore && documents === reply.documents);
    return toChunk(settings, reply, documents, { ...at, last, documents: at.documents + offsets.length, done });
  }
  if (at.to !== undefined) return toChunk(settings, reply, documents, { ...at, done: true });
  const final = await find(settings, { command: { filter: { _id: new MaxKey() } } }, signal);
  const found = final.documents.count;
  return toChunk(
    settings,
    final,
    final.documents,
    found === 0 ? { ...at, done: true } : { ...at, last: MAX_KEY, documents: at.documents + found, done: true },
  );
}

interface Found extends CursorReply {
  /** These are the last documents of the range. */
  readonly hasNoMore: boolean;
}

/** Reads up to `size` documents after the last one that was read. */
async function findNext(
  settings: SnapshotSettings,
  at: RangeProgress,
  size: number,
  signal: AbortSignal,
): Promise<Found> {
  const reply = await find(settings, rangeQuery(at, size), signal);
  const documents = withoutRepeated(reply.documents, at.last);
  if (documents.count > 0 || reply.hasNoMore || reply.documents.count === 0) return { ...reply, documents };
  // Only the repeated document: the end, or the next one did not fit into the same 16 MB reply. Its key does.
  const keys = await find(settings, rangeQuery(at, 1, { projection: ID_OF_DOCUMENT }), signal);
  const { bytes, offsets } = withoutRepeated(keys.documents, at.last);
  const [next] = offsets;
  if (next === undefined) return { ...reply, documents };
  return await find(settings, rangeQuery({ ...at, last: keyOf(bytes, next) }, size), signal);
}

function toChunk(
  { notBefore }: SnapshotSettings,
  reply: CursorReply,
  documents: BsonDocuments,
  progress: RangeProgress,
): Chunk<BsonDocuments> {
  const at = reply.atClusterTime ?? notBefore ?? reply.operationTime ?? BEGINNING;
  return { documents, at, exact: reply.atClusterTime !== undefined, progress };
}

/** The number of documents to request before the size of one is known. */
export function firstCount(chunkBytes: number): number {
  if (chunkBytes >= SMALL_CHUNK_BYTES) return FIRST_CHUNK_DOCUMENTS;
  return Math.max(1, Math.floor(chunkBytes / ASSUMED_DOCUMENT_BYTES));
}

/** The number of documents of `documentBytes` each that fill a chunk; at least 16 unless chunks are small. */
export function countFor(chunkBytes: number, documentBytes: number): number {
  const least = chunkBytes < SMALL_CHUNK_BYTES ? 1 : 16;
  return Math.max(least, Math.min(1_000_000, Math.ceil(chunkBytes / documentBytes)));
}

/** The number of documents to request after `documents`, by their average size; `count` where there are none. */
export function nextCount({ count: read, byteLength }: Documents, count: number, chunkBytes: number): number {
  return read === 0 ? count : countFor(chunkBytes, byteLength / read);
}

/** `min` is inclusive: the reply repeats the document with the key `last`, unless it was deleted since. */
function withoutRepeated(documents: BsonDocuments, last: string | undefined): BsonDocuments {
  const { bytes, offsets } = documents;
  const first = offsets[0];
  if (last === undefined || first === undefined || !sameKey(keyOf(bytes, first), last)) return documents;
  return documents.only(offsets.slice(1));
}

/** Drops the extra document that was requested in case the first one is a repetition. */
function firstOf(documents: BsonDocuments, count: number): BsonDocuments {
  return documents.count <= count ? documents : documents.only(documents.offsets.slice(0, count));
}

/** The fields of a `find` besides those that every read has. */
interface Query extends RawCommand {
  /** The range has an end, so that the server may tell whether these are its last documents. */
  readonly isClosed?: boolean;
}

function rangeQuery(at: RangeProgress, size: number, options: Readonly<Record<string, unknown>> = {}): Query {
  const { command, rawFields } = boundsOf(at);
  return { command: { ...command, ...options, batchSize: size + 1 }, rawFields, isClosed: at.to !== undefined };
}

/**
 * The fields of a `find` over the rest of a range, from the key that was read last (inclusive). Keys are sent as they came;
 * only two of them must agree on the names in their arrays.
 */
export function boundsOf({ from, to, last = from }: RangeProgress): Required<RawCommand> {
  const isClosed = last !== undefined && to !== undefined;
  const bounds = Object.entries({ min: last, max: to }).map(([name, key]) => {
    if (key === undefined) return new Uint8Array(0);
    const bytes = fromText(key);
    return element(name, rawValue(BSON.document, isClosed ? withNumberedArrays(bytes) : bytes));
  });
  return { command: { hint: { _id: 1 }, sort: { _id: 1 } }, rawFields: Buffer.concat(bounds) };
}

async function find(settings: SnapshotSettings, query: Query, signal: AbortSignal): Promise<Found> {
  const { client, info } = settings;
  // Without singleBatch the cursor's id is 0 if these are the last documents of the range.
  const singleBatch = settings.expected === undefined || query.isClosed !== true;
  const command = {
    find: info.namespace.collection,
    ...query.command,
    singleBatch,
    comment: "mongotap",
  };
  const options = { signal, ...(query.rawFields === undefined ? {} : { rawFields: query.rawFields }) };
  let { at } = settings;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const reading = { readConcern: readConcernOf({ ...settings, at }), ...(at === undefined ? {} : MAX_TIME) };
      const reply = await readCursor(client, info.namespace, { ...command, ...reading }, options);
      if (at === undefined && isOlder(settings, reply)) {
        at = settings.notBefore; // the majority is behind the stream: now the server waits for it
        continue;
      }
      if (isWithoutCollection(settings, reply)) {
        if (at !== undefined) return { ...reply, atClusterTime: at, hasNoMore: true };
        at = later(must(settings.notBefore, "the time of the stream"), reply.operationTime ?? BEGINNING);
        continue;
      }
      checkNotOlder(settings, reply);
      // The range has more documents than expected: the next chunk is a new `find`.
      if (reply.id !== 0n) killCursor(client, info.namespace, reply.id);
      return { ...reply, hasNoMore: !singleBatch && reply.id === 0n };
    } catch (error) {
      signal.throwIfAborted();
      const code = serverCodeOf(error);
      const again =
        code === ServerCode.SnapshotUnavailable || (code === ServerCode.SnapshotTooOld && settings.at === undefined);
      if (!again || attempt === SNAPSHOT_ATTEMPTS) throw error;
      at = settings.at; // a collection that was created since is never visible at a time before that
      await sleep(attempt * 50, signal);
    }
  }
}

/** Snapshot reads where they are possible: not of capped collections, and not on standalone servers. */
function readConcernOf({ info, standalone, notBefore, at }: SnapshotSettings): Record<string, unknown> {
  if (standalone) return { level: "local" };
  if (!info.capped) return { level: "snapshot", ...(at === undefined ? {} : { atClusterTime: timestampOf(at) }) };
  return notBefore === undefined
    ? { level: "majority" }
    : { level: "majority", afterClusterTime: timestampOf(notBefore) };
}

/**
 * The reply of a snapshot read has a time, but where there is no such collection (yet, or any more). When that was so has to
 * be known where the reply is put into one order with changes: then it is asked for at a time.
 */
function isWithoutCollection({ info, standalone, notBefore }: SnapshotSettings, reply: CursorReply): boolean {
  return notBefore !== undefined && !standalone && !info.capped && reply.atClusterTime === undefined;
}

/** A snapshot older than the change stream would miss the changes in between. */
function isOlder({ notBefore }: SnapshotSettings, { atClusterTime }: CursorReply): boolean {
  return notBefore !== undefined && atClusterTime !== undefined && atClusterTime < notBefore;
}

function checkNotOlder(settings: SnapshotSettings, reply: CursorReply): void {
  if (!isOlder(settings, reply)) return;
  const name = nameOf(settings.info.namespace);
  throw new MongotapError("connect", `the server that answered for ${name} is behind the change stream`);
}

/**
 * The first `count` documents of a chunk (at least 1, not all), with the progress behind the last of them; replaces the
 * chunk. A range that is not `resumable` gets no last key: its documents may have no `_id`.
 */
export function headOfChunk({ documents, progress, ...rest }: Chunk, count: number, resumable: boolean): Chunk {
  if (documents.kind === "encoded") throw new MongotapError("bug", "a chunk that a worker has encoded cannot be cut");
  const last = must(documents.offsets[count - 1], "the last document of the head");
  const key = resumable ? { last: keyOf(documents.bytes, last) } : {};
  return {
    ...rest,
    documents: documents.split(count)[0],
    progress: {
      ...progress,
      ...key,
      documents: progress.documents - (documents.count - count),
      done: false,
    },
    ...(resumable ? {} : { partial: true }),
  };
}
