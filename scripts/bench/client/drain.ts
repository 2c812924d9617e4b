/** The limit: counts the documents of each reply and discards them. */

import { type Collection, Long, type MongoClient, Timestamp } from "mongodb";
import { type CursorReply, parseCursorReply } from "../../../src/source/cursor-reply.ts";

/** More than any reply holds: the server cuts at 16 MB. */
const BATCH_SIZE = 10_000_000;

/** Resolves with the number of documents. */
export async function drainCollection(client: MongoClient, collection: Collection, query: object): Promise<number> {
  const find = { find: collection.collectionName, batchSize: BATCH_SIZE, ...query };
  return await drain(client, collection, find, { batchSize: BATCH_SIZE }, Number.POSITIVE_INFINITY);
}

interface StreamPart {
  readonly seconds: number;
  readonly count: number;
  readonly fullDocument?: "default" | "updateLookup";
}

/** Resolves after `count` events since `seconds`. */
export async function drainStream(
  client: MongoClient,
  collection: Collection,
  { seconds, count, fullDocument = "default" }: StreamPart,
): Promise<number> {
  const stage = { startAtOperationTime: new Timestamp({ t: seconds, i: 0 }), fullDocument };
  const aggregate = { aggregate: collection.collectionName, pipeline: [{ $changeStream: stage }], cursor: {} };
  return await drain(client, collection, aggregate, {}, count);
}

async function drain(
  client: MongoClient,
  { dbName, collectionName: collection }: Collection,
  first: object,
  more: object,
  count: number,
): Promise<number> {
  await using session = client.startSession({ causalConsistency: false });
  const database = client.db(dbName);
  const run = async (command: object): Promise<CursorReply> =>
    parseCursorReply(await database.command(command, { session, raw: true }));
  let seen = 0;
  for (let reply = await run(first); ;) {
    seen += reply.documents.offsets.length;
    if (reply.id === 0n || seen >= count) return seen;
    reply = await run({ getMore: Long.fromBigInt(reply.id), collection, ...more });
  }
}
