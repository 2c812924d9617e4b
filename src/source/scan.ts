/**
 * Reads a view or a time series from beginning to end with one cursor. Neither has an `_id` index, so a read cannot be
 * resumed at a chunk: `progress` has no last key.
 */

import { Long } from "mongodb";

import { readCursor } from "./cursor-reply.ts";
import { BEGINNING, type BsonDocuments, type Chunk, type RangeProgress } from "./record.ts";
import { firstCount, nextCount, type SnapshotSettings } from "./snapshot.ts";

/**
 * Yields chunks until the end or until `wanted` documents. In the second case the last chunk is not `done`, because there
 * may be more documents.
 * @throws MongotapError `connect`, `auth`
 */
export async function* scanWhole(
  settings: SnapshotSettings,
  signal: AbortSignal,
  wanted = Infinity,
): AsyncGenerator<Chunk<BsonDocuments>> {
  const { client, info, chunkBytes } = settings;
  const { collection } = info.namespace;
  await using session = client.startSession({ causalConsistency: false });
  const limit = Number.isFinite(wanted) ? { limit: wanted } : {};
  let batchSize = firstCount(chunkBytes);
  const find = { find: collection, batchSize, ...limit, comment: "mongotap" };
  let reply = await readCursor(client, info.namespace, find, { session, signal });
  for (let documents = 0; ;) {
    documents += reply.documents.count;
    const isLast = reply.id === 0n;
    const progress: RangeProgress = { documents, done: isLast && documents < wanted };
    batchSize = nextCount(reply.documents, batchSize, chunkBytes);
    yield { documents: reply.documents, at: reply.operationTime ?? BEGINNING, exact: false, progress };
    if (isLast) return;
    const getMore = { getMore: Long.fromBigInt(reply.id), collection, batchSize };
    reply = await readCursor(client, info.namespace, getMore, { session, signal });
  }
}
