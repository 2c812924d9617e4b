/**
 * Reads a time series by its buckets: the documents of the collection `system.buckets.NAME`, which is clustered by `_id`.
 * The server unpacks them into the same measurements, in the same order and byte for byte, as a `find` on the time series;
 * but between two buckets there is a place to go on from (docs/decisions/012-reading-what-has-no-id-index.md).
 */

import { type MongoClient, ObjectId } from "mongodb";

import { ServerCode, serverCodeOf } from "../connect/server-errors.ts";
import { MongotapError } from "../errors.ts";
import { keyOf } from "./bson-key.ts";
import { type CollectionInfo, collectionUuid } from "./catalog.ts";
import { readCursor } from "./cursor-reply.ts";
import { cursorReplies, timeOf } from "./cursor-replies.ts";
import { type BsonDocuments, type Chunk, nameOf, type Namespace, type RangeProgress } from "./record.ts";
import type { SnapshotSettings } from "./snapshot.ts";

/** The buckets of a time series that can be read. */
export interface Buckets {
  /** `system.buckets.NAME` */
  readonly namespace: Namespace;
  readonly uuid: string;
  /** The stage that turns buckets into measurements. */
  readonly unpack: Readonly<Record<string, unknown>>;
}

/** Why buckets cannot be read, as part of a sentence. */
export interface NoBuckets {
  readonly why: string;
}

/** The namespace of the buckets of a time series. */
export function bucketsOf({ db, collection }: Namespace): Namespace {
  return { db, collection: `system.buckets.${collection}` };
}

/**
 * Resolves to the buckets of a time series, or to why they cannot be read: the role `read` on a database does not include
 * them, and newer servers may hide them. Reads no measurement.
 * @throws MongotapError `connect`
 */
export async function findBuckets(
  client: MongoClient,
  { namespace, options }: Pick<CollectionInfo, "namespace" | "options">,
  version: readonly number[],
  signal: AbortSignal,
): Promise<Buckets | NoBuckets> {
  const [major = 0] = version;
  if (major < FIRST_MAJOR) return { why: `the server is older than ${FIRST_MAJOR}.0` };
  const buckets = bucketsOf(namespace);
  const name = nameOf(buckets);
  const unpack = unpackStage(options);
  const probe = {
    aggregate: buckets.collection,
    pipeline: [{ $match: { _id: { $lt: LOWEST } } }, unpack],
    hint: { _id: 1 },
    cursor: {},
    comment: "mongotap",
  };
  try {
    await readCursor(client, namespace, probe, { signal });
  } catch (error) {
    const code = serverCodeOf(error);
    if (code === undefined) throw error;
    const isRefused = code === ServerCode.Unauthorized || code === ServerCode.AtlasError;
    return { why: isRefused ? `the user may not read ${name}` : `the server does not show ${name}` };
  }
  const uuid = await collectionUuid(client, buckets);
  return uuid === null ? { why: `the server does not list ${name}` } : { namespace: buckets, uuid, unpack };
}

/** Before that version `hint: {_id: 1}` does not name the clustered index. */
const FIRST_MAJOR = 6;
const LOWEST = new ObjectId("0".repeat(24));

function unpackStage(options: CollectionInfo["options"]): Buckets["unpack"] {
  const { timeField, metaField } = (options["timeseries"] ?? {}) as { timeField?: string; metaField?: string };
  return { $_unpackBucket: { timeField, ...(metaField === undefined ? {} : { metaField }) } };
}

export interface BucketSettings extends Pick<SnapshotSettings, "client" | "standalone" | "chunkBytes"> {
  /** Of the time series, for messages. */
  readonly namespace: Namespace;
  readonly buckets: Buckets;
}

/** Together at most 16 MB of measurements, as a rule. */
const FIRST_BUCKETS = 8;
const MOST_BUCKETS = 10_000;
const MOST_GROWTH = 8;
/** The server ends a reply at 16 MB. */
const ALL = 10_000_000;

/**
 * Yields the measurements of the buckets behind `progress`, several buckets to a chunk. The chunks of buckets that do not fit
 * into one reply are `partial`, up to the last.
 * @throws MongotapError as `readCursor` does
 */
export async function* readBuckets(
  settings: BucketSettings,
  progress: RangeProgress,
  signal: AbortSignal,
): AsyncGenerator<Chunk<BsonDocuments>> {
  let at = progress;
  let count = FIRST_BUCKETS;
  while (!at.done) {
    const to = await lastOfNext(settings, at, count, signal);
    let bytes = 0;
    for await (const chunk of readUpTo(settings, at, to, signal)) {
      bytes += chunk.documents.byteLength;
      at = chunk.progress;
      yield chunk;
    }
    const fitting = Math.round((count * settings.chunkBytes) / Math.max(bytes, 1));
    count = Math.max(1, Math.min(MOST_BUCKETS, count * MOST_GROWTH, fitting));
  }
}

/** The key of the last of the next `count` buckets; undefined where there are fewer. */
async function lastOfNext(
  settings: BucketSettings,
  at: RangeProgress,
  count: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const find = {
    find: settings.buckets.namespace.collection,
    filter: { _id: boundsOf(at, undefined) },
    hint: { _id: 1 },
    sort: { _id: 1 },
    projection: { _id: 1 },
    skip: count - 1,
    limit: 1,
    singleBatch: true,
    ...readConcernOf(settings),
    comment: "mongotap",
  };
  const { documents } = await readCursor(settings.client, settings.namespace, find, { signal });
  const [first] = documents.offsets;
  return first === undefined ? undefined : keyOf(documents.bytes, first);
}

async function* readUpTo(
  settings: BucketSettings,
  before: RangeProgress,
  to: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Chunk<BsonDocuments>> {
  const { client, namespace, buckets } = settings;
  const { collection } = buckets.namespace;
  const command = {
    aggregate: collection,
    pipeline: [{ $match: { _id: boundsOf(before, to) } }, buckets.unpack],
    hint: { _id: 1 },
    cursor: { batchSize: ALL },
    ...readConcernOf(settings),
    comment: "mongotap",
  };
  let { documents } = before;
  const query = { client, namespace, command, collection, nextCount: () => ALL };
  for await (const reply of cursorReplies(query, signal)) {
    documents += reply.documents.count;
    const read = {
      documents: reply.documents,
      ...timeOf(reply),
    };
    if (reply.id !== 0n) yield { ...read, progress: { ...before, documents }, partial: true };
    else if (to === undefined) yield { ...read, progress: { ...before, documents, done: true } };
    else yield { ...read, progress: { ...before, documents, last: to } };
  }
}

/** Standalone servers do not support read concern `snapshot`. */
function readConcernOf({ standalone }: BucketSettings): Readonly<Record<string, unknown>> {
  return { readConcern: { level: standalone ? "local" : "snapshot" } };
}

/** The `_id`s behind the last bucket that was read, up to `to`. Every bucket has an ObjectId as its `_id`. */
function boundsOf({ last }: RangeProgress, to: string | undefined): Readonly<Record<string, unknown>> {
  return {
    ...(last === undefined ? { $gte: LOWEST } : { $gt: bucketId(last) }),
    ...(to === undefined ? {} : { $lte: bucketId(to) }),
  };
}

const KEY_BYTES = 22;
const ID_BEGIN = 9;

/** @throws MongotapError `state` for a key that is none of a bucket */
function bucketId(key: string): ObjectId {
  const bytes = Buffer.from(key, "base64");
  if (bytes.length !== KEY_BYTES) throw new MongotapError("state", "a saved key is not of a bucket of a time series");
  return new ObjectId(bytes.subarray(ID_BEGIN, ID_BEGIN + 12));
}
