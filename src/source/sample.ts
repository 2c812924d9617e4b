/**
 * Reads a sample of a collection within limits of number, bytes and time, at random where that is cheap. `$sample` as the
 * first stage jumps through a collection with a random cursor, but only for less than a twentieth of its documents. For
 * more it scans the collection and sorts it by chance, which is cheap while all of it fits into the memory of a sort.
 * What is larger is scanned, each document with the same chance; none of it is sorted.
 * https://www.mongodb.com/docs/manual/reference/operator/aggregation/sample/
 */

import type { MongoClient } from "mongodb";

import { ServerCode } from "../connect/server-codes.ts";
import { serverCodeOf, toMongotapError } from "../connect/server-errors.ts";
import type { CollectionInfo, Measured } from "./catalog.ts";
import { nameOf } from "./record.ts";

export interface SampleLimits {
  readonly documents: number;
  readonly bytes: number;
  /** For how long the server may work, and this program may read. */
  readonly timeMs: number;
}

export interface Sample {
  /** `all`: there are no more. `first`: in the order in which the server finds them. */
  readonly how: "all" | "random" | "first";
  readonly documents: number;
  readonly bytes: number;
  /** The limit that ended it before there were enough; null where none did. */
  readonly cut: "bytes" | "time" | null;
}

/** From there on the server sorts the collection instead of jumping through it … */
const RANDOM_CURSOR_SHARE = 0.05;
/** … and this fits into the 100 MB that a sort may take. */
const SORTABLE_BYTES = 64 * 1024 * 1024;
/** In standard deviations: so many more may come by chance. Cut off sooner, the last ones would never be seen. */
const SLACK = 5;
/** Small, so that little is lost when the time runs out in the middle of a batch. */
const BATCH_SIZE = 250;

type Stage = Readonly<Record<string, unknown>>;

export interface SampleRequest {
  readonly info: CollectionInfo;
  /** How many documents there are, where that is known, and their size. */
  readonly measured: Measured;
  readonly limits: SampleLimits;
  readonly onDocument: (bytes: Uint8Array) => void;
}

/**
 * Gives documents as bytes to `onDocument`, until there are enough, or a limit is reached.
 * @throws MongotapError `connect`, `auth`, or what the server says against reading this collection
 */
export async function readSample(client: MongoClient, request: SampleRequest, signal: AbortSignal): Promise<Sample> {
  const { limits } = request;
  const random = randomWay(request);
  if (random !== undefined) {
    const { isEnd: _, ...found } = await read(client, request, random, signal);
    const isLess = found.cut === null && wantedOf(request.measured, limits) < limits.documents;
    if (found.documents > 0) return { ...found, how: "random", cut: isLess ? "bytes" : found.cut };
  }
  // One more than is wanted tells whether these are all.
  const pipeline = [{ $limit: limits.documents + 1 }];
  const first = { pipeline, most: limits.documents, isOptional: false };
  const { isEnd, ...found } = await read(client, request, first, signal);
  return { ...found, how: isEnd ? "all" : "first" };
}

interface Way {
  readonly pipeline: readonly Stage[];
  /** Documents that are looked at. */
  readonly most: number;
  /** There is another way: where the server refuses this one, what has come is enough. */
  readonly isOptional: boolean;
}

/** Undefined where the first documents are all, or where chance would cost a scan of everything. */
function randomWay({ info, measured, limits }: SampleRequest): Way | undefined {
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

/** How many documents are looked at: no more than the limit of bytes has room for, by what they weigh on average. */
function wantedOf({ documents: count, bytes }: Measured, limits: SampleLimits): number {
  if (count === null || bytes === null || bytes === 0) return limits.documents;
  return Math.min(limits.documents, Math.max(1, Math.floor((limits.bytes / bytes) * count)));
}

interface Found extends Omit<Sample, "how"> {
  /** The server has no more. */
  readonly isEnd: boolean;
}

async function read(
  client: MongoClient,
  { info, limits, onDocument }: SampleRequest,
  { pipeline, most, isOptional }: Way,
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
