/**
 * Reads a sample of a collection within limits of number, bytes and time, at random where that is cheap. `$sample` as the
 * first stage uses a random cursor, but only for less than 5% of the documents. For more it scans the collection and sorts
 * it by random keys, which is cheap while the collection fits into the memory of a sort. A larger collection is scanned
 * with `$sampleRate` instead, without a sort.
 * https://www.mongodb.com/docs/manual/reference/operator/aggregation/sample/
 */

import type { MongoClient } from "mongodb";

import { ServerCode, serverCodeOf, toMongotapError } from "../connect/server-errors.ts";
import type { CollectionInfo, Measured } from "./catalog.ts";
import { nameOf } from "./record.ts";

export interface SampleLimits {
  readonly documents: number;
  readonly bytes: number;
  /** How long the server may work, and how long this process may read; each in ms. */
  readonly timeMs: number;
}

export interface Sample {
  /** `all`: every document. `first`: the first ones in the order of the server's scan. */
  readonly how: "all" | "random" | "first";
  readonly documents: number;
  readonly bytes: number;
  /** The limit that ended the sample before it was complete; null if none did. */
  readonly cut: "bytes" | "time" | null;
}

/** Up to this share of a collection `$sample` uses a random cursor; above it the server sorts. */
const RANDOM_CURSOR_SHARE = 0.05;
/** Fits into the 100 MB of memory that a sort may use. */
const SORTABLE_BYTES = 64 * 1024 * 1024;
/** The limit after `$sampleRate`, in standard deviations above the mean: lower, it would cut off the end of the scan. */
const SLACK = 5;
/** Small, so that little is lost if the time runs out within a batch. */
const BATCH_SIZE = 250;

type Stage = Readonly<Record<string, unknown>>;

export interface SampleRequest {
  readonly info: CollectionInfo;
  /** The collection's count and size, where they are known. */
  readonly measured: Measured;
  readonly limits: SampleLimits;
  readonly onDocument: (bytes: Uint8Array) => void;
}

/**
 * Calls `onDocument` with the BSON of each document, until the sample is complete or a limit is reached.
 * @throws MongotapError `connect`, `auth`, or another kind if the server cannot read this collection
 */
export async function readSample(client: MongoClient, request: SampleRequest, signal: AbortSignal): Promise<Sample> {
  const { limits } = request;
  const random = randomPipeline(request);
  if (random !== undefined) {
    const { isEnd: _, ...found } = await read(client, request, random, signal);
    const isLess = found.cut === null && wantedOf(request.measured, limits) < limits.documents;
    if (found.documents > 0) return { ...found, how: "random", cut: isLess ? "bytes" : found.cut };
  }
  // One more than wanted, to learn whether these are all.
  const pipeline = [{ $limit: limits.documents + 1 }];
  const first = { pipeline, most: limits.documents, isOptional: false };
  const { isEnd, ...found } = await read(client, request, first, signal);
  return { ...found, how: isEnd ? "all" : "first" };
}

interface SamplePipeline {
  readonly pipeline: readonly Stage[];
  /** The most documents to use. */
  readonly most: number;
  /** If the server refuses the pipeline, the documents read so far are the result, and another pipeline may follow. */
  readonly isOptional: boolean;
}

/** Undefined if all documents are wanted, for views and time series, and if the count is not known. */
function randomPipeline({ info, measured, limits }: SampleRequest): SamplePipeline | undefined {
  const { documents: count, bytes } = measured;
  if (info.type !== "collection" || count === null) return undefined;
  const wanted = wantedOf(measured, limits);
  if (count <= wanted) return undefined;
  if (wanted < count * RANDOM_CURSOR_SHARE || (bytes !== null && bytes <= SORTABLE_BYTES)) {
    return { pipeline: [{ $sample: { size: wanted } }], most: wanted, isOptional: true };
  }
  const most = wanted + Math.ceil(SLACK * Math.sqrt(wanted));
  return { pipeline: [{ $match: { $sampleRate: wanted / count } }, { $limit: most }], most, isOptional: true };
}

/** The number of documents to read: no more than fit into the limit of bytes, by their average size. */
function wantedOf({ documents: count, bytes }: Measured, limits: SampleLimits): number {
  if (count === null || bytes === null || bytes === 0) return limits.documents;
  return Math.min(limits.documents, Math.max(1, Math.floor((limits.bytes / bytes) * count)));
}

interface Found extends Omit<Sample, "how"> {
  /** There are no more documents. */
  readonly isEnd: boolean;
}

async function read(
  client: MongoClient,
  { info, limits, onDocument }: SampleRequest,
  { pipeline, most, isOptional }: SamplePipeline,
  signal: AbortSignal,
): Promise<Found> {
  const { db, collection } = info.namespace;
  const startedAt = performance.now();
  const isTimeOver = (): boolean => performance.now() - startedAt >= limits.timeMs;
  const found = { documents: 0, bytes: 0 };
  const batchSize = Math.min(BATCH_SIZE, most + 1);
  const options = { raw: true, batchSize, maxTimeMS: limits.timeMs, comment: "mongotap", signal };
  try {
    const cursor = client
      .db(db)
      .collection(collection)
      .aggregate<Uint8Array>([...pipeline], options);
    for await (const document of cursor) {
      if (found.documents === most) return { ...found, cut: null, isEnd: false };
      found.documents += 1;
      found.bytes += document.length;
      onDocument(document);
      if (found.bytes >= limits.bytes) return { ...found, cut: "bytes", isEnd: false };
      if (isTimeOver()) return { ...found, cut: "time", isEnd: false };
    }
    return { ...found, cut: null, isEnd: true };
  } catch (error) {
    signal.throwIfAborted();
    const code = serverCodeOf(error);
    const isOver = code === ServerCode.MaxTimeMSExpired || (code !== undefined && isTimeOver());
    if (isOver) return { ...found, cut: "time", isEnd: false };
    if (code !== undefined && isOptional) return { ...found, cut: null, isEnd: false };
    throw toMongotapError(error, `cannot read ${nameOf(info.namespace)}`);
  }
}
