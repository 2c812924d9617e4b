/**
 * Reads a view or a time series from beginning to end with one cursor. Neither has an `_id` index to resume by,
 * so no chunk is a place to go on from: `progress` stays open until the last.
 */

import { Long } from "mongodb";

import { toMongotapError } from "../connect/server-errors.ts";
import { type CursorReply, parseCursorReply } from "./cursor-reply.ts";
import { BEGINNING, type BsonDocuments, type Chunk, nameOf, type RangeProgress } from "./record.ts";
import { firstCount, nextCount, type SnapshotSettings } from "./snapshot.ts";

/**
 * Yields chunks until the end, or until there are `wanted` documents: then the end is not known, and the last chunk is
 * not `done`.
 * @throws MongotapError `connect`, `auth`
 */
export async function* scanWhole(
  settings: SnapshotSettings,
  signal: AbortSignal,
  wanted = Infinity,
): AsyncGenerator<Chunk<BsonDocuments>> {
  const { client, info, chunkBytes } = settings;
  const { db, collection } = info.namespace;
  await using session = client.startSession({ causalConsistency: false });
  const run = async (command: Record<string, unknown>): Promise<CursorReply> => {
    try {
      return parseCursorReply(await client.db(db).command(command, { session, raw: true, signal }));
    } catch (error) {
      signal.throwIfAborted();
      throw toMongotapError(error, `cannot read ${nameOf(info.namespace)}`);
    }
  };
  const limit = Number.isFinite(wanted) ? { limit: wanted } : {};
  let batchSize = firstCount(chunkBytes);
  let reply = await run({ find: collection, batchSize, ...limit, comment: "mongotap" });
  for (let rows = 0; ;) {
    rows += reply.documents.count;
    const isLast = reply.id === 0n;
    const progress: RangeProgress = { documents: rows, done: isLast && rows < wanted };
    batchSize = nextCount(reply.documents, batchSize, chunkBytes);
    yield { documents: reply.documents, at: reply.operationTime ?? BEGINNING, exact: false, progress };
    if (isLast) return;
    reply = await run({ getMore: Long.fromBigInt(reply.id), collection, batchSize });
  }
}
