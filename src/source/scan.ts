/**
 * Reads a view or a time series from beginning to end with one cursor. Neither has an `_id` index to resume by,
 * so no chunk is a place to go on from: `progress` stays open until the last.
 */

import { Long } from "mongodb";

import { BEGINNING } from "./cluster-time.ts";
import { readCursor } from "./cursor-reply.ts";
import type { BsonDocuments, Chunk, RangeProgress } from "./record.ts";
import { firstCount, nextCount, type SnapshotSettings } from "./snapshot.ts";

/** @throws MongotapError `connect`, `auth` */
export async function* scanWhole(
  settings: SnapshotSettings,
  signal: AbortSignal,
  limit = Infinity,
): AsyncGenerator<Chunk<BsonDocuments>> {
  const { client, info, chunkBytes } = settings;
  const { collection } = info.namespace;
  await using session = client.startSession({ causalConsistency: false });
  const capped = Number.isFinite(limit) ? { limit } : {};
  let batchSize = firstCount(chunkBytes);
  const find = { find: collection, batchSize, ...capped, comment: "mongotap" };
  let reply = await readCursor(client, info.namespace, find, { session, signal });
  for (let rows = 0; ;) {
    rows += reply.documents.count;
    const done = reply.id === 0n;
    const progress: RangeProgress = { documents: rows, done };
    batchSize = nextCount(reply.documents, batchSize, chunkBytes);
    yield { documents: reply.documents, at: reply.operationTime ?? BEGINNING, exact: false, progress };
    if (done) return;
    const getMore = { getMore: Long.fromBigInt(reply.id), collection, batchSize };
    reply = await readCursor(client, info.namespace, getMore, { session, signal });
  }
}
