/** Reads all that a query returns with one cursor, where one reply may not hold it (views, time series). */

import { Long, type MongoClient } from "mongodb";

import { ServerCode, serverCodeOf } from "../connect/server-errors.ts";
import { sleep } from "../lib/async.ts";
import { type CursorReply, killCursor, readCursor } from "./cursor-reply.ts";
import { BEGINNING, type BsonDocuments, type Chunk, type Namespace } from "./record.ts";

export interface Query {
  readonly client: MongoClient;
  /** For its database, and for messages: the command may name another collection. */
  readonly namespace: Namespace;
  /** `find` or `aggregate` */
  readonly command: Readonly<Record<string, unknown>>;
  /** The collection of the getMore commands. */
  readonly collection: string;
  /** How many documents to request after these. */
  readonly nextCount: (documents: BsonDocuments) => number;
}

/** A new collection has no snapshot for a short time: about a second. */
const SNAPSHOT_ATTEMPTS = 6;

/**
 * Yields the replies until the server closes the cursor. Closes it itself where the consumer returns before, or a reply
 * fails.
 * @throws MongotapError as `readCursor` does
 */
export async function* cursorReplies(query: Query, signal: AbortSignal): AsyncGenerator<CursorReply> {
  const { client, namespace, collection } = query;
  // One session for all replies: the server binds a cursor to it.
  await using session = client.startSession({ causalConsistency: false });
  let reply = await firstReply(query, { session, signal });
  let open = reply.id;
  try {
    for (;;) {
      const batchSize = query.nextCount(reply.documents);
      yield reply;
      if (open === 0n) return;
      const getMore = { getMore: Long.fromBigInt(open), collection, batchSize };
      reply = await readCursor(client, namespace, getMore, { session, signal });
      open = reply.id;
    }
  } finally {
    if (open !== 0n) killCursor(client, { db: namespace.db, collection }, open);
  }
}

/** At what time the documents of a reply are true. */
export function timeOf({ atClusterTime, operationTime }: CursorReply): Pick<Chunk, "at" | "exact"> {
  return { at: atClusterTime ?? operationTime ?? BEGINNING, exact: atClusterTime !== undefined };
}

async function firstReply(
  { client, namespace, command }: Query,
  options: Parameters<typeof readCursor>[3],
): Promise<CursorReply> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readCursor(client, namespace, command, options);
    } catch (error) {
      if (serverCodeOf(error) !== ServerCode.SnapshotUnavailable || attempt === SNAPSHOT_ATTEMPTS) throw error;
      await sleep(attempt * 50, options.signal);
    }
  }
}
