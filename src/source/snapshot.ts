/**
 * Reads ranges of `_id` in chunks. A chunk is one `find` with one reply: no cursor stays open, so none can time out,
 * be killed or move to another server, and every chunk says at which cluster time it is true.
 *
 * Bounds are index bounds (`min`/`max` with `hint`), because the query operators compare within one type only and
 * would lose documents where `_id`s have several types; `max` excludes, so `_id: MaxKey` gets a read of its own.
 * https://www.mongodb.com/docs/manual/reference/method/cursor.min/
 */

import { Long, MaxKey, type MongoClient } from "mongodb";

import { runCommand } from "../connect/run-command.ts";
import { ServerCode } from "../connect/server-codes.ts";
import { serverCodeOf } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { keyOf, MAX_KEY, sameKey, toValue } from "./bson-key.ts";
import type { CollectionInfo } from "./catalog.ts";
import { timestampOf } from "./cluster-time.ts";
import { type CursorReply, readCursor } from "./cursor-reply.ts";
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
  /** Standalone servers know no read concern `snapshot`. */
  readonly standalone: boolean;
  /** About how many bytes a chunk shall have; the server cuts at 16 MB whatever is asked. */
  readonly chunkBytes: number;
  /** Reads are not older than this (majority reads wait for it; snapshot reads are checked). */
  readonly notBefore: ClusterTime | undefined;
  /** All reads are true at this very time; it has to be within the server's snapshot window (300 s). Absent: now. */
  readonly at?: ClusterTime | undefined;
  /** The range is closed and has about so many documents: it is read at once, and most often with one command. */
  readonly expected?: number | undefined;
}

const FIRST_CHUNK = 1_000;
/** Smaller chunks are so for a reason (a rate, little memory), and worth more commands. */
const SMALL_CHUNK = 1024 * 1024;
/** What is reckoned with before the first document has come, where it must not be too much. */
const UNKNOWN_BYTES = 16 * 1024;
/** How long the server may wait for its majority to reach the time of a read. */
const MAX_TIME = { maxTimeMS: 60_000 };
/** A fresh collection or index has no snapshot for a moment. */
const SNAPSHOT_ATTEMPTS = 20;

/**
 * Yields the chunks of one range behind `progress`, until its end or `limit` documents.
 * @throws MongotapError `connect`, `auth`, `data`
 */
export async function* readRange(
  settings: SnapshotSettings,
  progress: RangeProgress,
  signal: AbortSignal,
  limit = Infinity,
): AsyncGenerator<Chunk<BsonDocuments>> {
  let at = progress;
  // More than expected, because some may have come since they were counted.
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
  const reply = await findBehind(settings, at, size, signal);
  const documents = firstOf(reply.documents, size);
  const { bytes, offsets } = documents;
  const end = offsets.at(-1);
  if (end !== undefined) {
    const last = keyOf(bytes, end);
    const done = last === MAX_KEY || (reply.hasNoMore && documents === reply.documents);
    return toChunk(settings, reply, documents, { ...at, last, documents: at.documents + offsets.length, done });
  }
  if (at.to !== undefined) return toChunk(settings, reply, documents, { ...at, done: true });
  const final = await find(settings, { filter: { _id: new MaxKey() } }, signal);
  const found = final.documents.count;
  return toChunk(
    settings,
    final,
    final.documents,
    found === 0 ? { ...at, done: true } : { ...at, last: MAX_KEY, documents: at.documents + found, done: true },
  );
}

interface Found extends CursorReply {
  /** Nothing of the range is left behind these documents. */
  readonly hasNoMore: boolean;
}

/** The documents behind the one that we stand at. */
async function findBehind(
  settings: SnapshotSettings,
  at: RangeProgress,
  size: number,
  signal: AbortSignal,
): Promise<Found> {
  const reply = await find(settings, rangeCommand(at, size), signal);
  const documents = withoutRepeated(reply.documents, at.last);
  if (documents.count > 0 || reply.hasNoMore || reply.documents.count === 0) return { ...reply, documents };
  // Nothing but the repeated one: the end, or it left no room for the next in a reply of 16 MB. Keys have room.
  const keys = await find(settings, { ...rangeCommand(at, 1), projection: { _id: 1 } }, signal);
  const { bytes, offsets } = withoutRepeated(keys.documents, at.last);
  const [next] = offsets;
  if (next === undefined) return { ...reply, documents };
  return await find(settings, rangeCommand({ ...at, last: keyOf(bytes, next) }, size), signal);
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

/** How many documents to ask for when nobody knows what they weigh. */
export function firstCount(chunkBytes: number): number {
  return chunkBytes < SMALL_CHUNK ? Math.max(1, Math.floor(chunkBytes / UNKNOWN_BYTES)) : FIRST_CHUNK;
}

/** How many documents fill a chunk. Large ones are not asked for one by one, unless chunks have to be small. */
export function countFor(chunkBytes: number, documentBytes: number): number {
  const least = chunkBytes < SMALL_CHUNK ? 1 : 16;
  return Math.max(least, Math.min(1_000_000, Math.ceil(chunkBytes / documentBytes)));
}

/** Goes by what the last ones weighed. */
export function nextCount({ count: read, byteLength }: Documents, count: number, chunkBytes: number): number {
  return read === 0 ? count : countFor(chunkBytes, byteLength / read);
}

/** `min` includes: the document we stand at comes again, unless it was deleted meanwhile. */
function withoutRepeated(documents: BsonDocuments, last: string | undefined): BsonDocuments {
  const { bytes, offsets } = documents;
  const first = offsets[0];
  if (last === undefined || first === undefined || !sameKey(keyOf(bytes, first), last)) return documents;
  return documents.only(offsets.slice(1));
}

/** One more was asked for, in case the first is a repeated one. */
function firstOf(documents: BsonDocuments, count: number): BsonDocuments {
  return documents.count <= count ? documents : documents.only(documents.offsets.slice(0, count));
}

function rangeCommand(at: RangeProgress, size: number): Record<string, unknown> {
  return { ...boundsOf(at), batchSize: size + 1 };
}

/** The options of a `find` that walks over a range by its index bounds, from the key that was read last. */
export function boundsOf({ from, to, last = from }: RangeProgress): Record<string, unknown> {
  return {
    hint: { _id: 1 },
    sort: { _id: 1 },
    ...(last === undefined ? {} : { min: toValue(last) }),
    ...(to === undefined ? {} : { max: toValue(to) }),
  };
}

async function find(settings: SnapshotSettings, query: Record<string, unknown>, signal: AbortSignal): Promise<Found> {
  const { client, info } = settings;
  // With a cursor that is closed at once, the server says that there is no more.
  const singleBatch = settings.expected === undefined || !("max" in query);
  const command = {
    find: info.namespace.collection,
    ...query,
    singleBatch,
    comment: "mongotap",
  };
  let { at } = settings;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const reading = { readConcern: readConcernOf({ ...settings, at }), ...(at === undefined ? {} : MAX_TIME) };
      const reply = await readCursor(client, info.namespace, { ...command, ...reading }, { signal });
      if (at === undefined && isOlder(settings, reply)) {
        at = settings.notBefore; // what the majority has is behind the stream: the server waits until it is not
        continue;
      }
      checkNotOlder(settings, reply);
      if (reply.id !== 0n) killCursor(settings, reply.id);
      return { ...reply, hasNoMore: !singleBatch && reply.id === 0n };
    } catch (error) {
      signal.throwIfAborted();
      const code = serverCodeOf(error);
      const again =
        code === ServerCode.SnapshotUnavailable || (code === ServerCode.SnapshotTooOld && settings.at === undefined);
      if (!again || attempt === SNAPSHOT_ATTEMPTS) throw error;
      await sleep(attempt * 50, signal);
    }
  }
}

/** There was more in the range than expected: what is left is asked for anew, as after a crash. */
function killCursor({ client, info }: SnapshotSettings, id: bigint): void {
  const { db, collection } = info.namespace;
  const killed = runCommand(client, db, { killCursors: collection, cursors: [Long.fromBigInt(id)] });
  killed.catch(() => undefined); // the server closes it by itself after a while
}

/** Capped collections and standalone servers refuse snapshots. */
function readConcernOf({ info, standalone, notBefore, at }: SnapshotSettings): Record<string, unknown> {
  if (standalone) return { level: "local" };
  if (!info.capped) return { level: "snapshot", ...(at === undefined ? {} : { atClusterTime: timestampOf(at) }) };
  return notBefore === undefined
    ? { level: "majority" }
    : { level: "majority", afterClusterTime: timestampOf(notBefore) };
}

/** A snapshot from before the beginning of the stream would miss changes that the stream does not tell. */
function isOlder({ notBefore }: SnapshotSettings, { atClusterTime }: CursorReply): boolean {
  return notBefore !== undefined && atClusterTime !== undefined && atClusterTime < notBefore;
}

function checkNotOlder(settings: SnapshotSettings, reply: CursorReply): void {
  if (!isOlder(settings, reply)) return;
  const name = nameOf(settings.info.namespace);
  throw new MongotapError("connect", `the server that answered for ${name} is behind the change stream`);
}
