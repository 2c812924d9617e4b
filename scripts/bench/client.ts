/**
 * What mongotap is measured against, as a program of its own: the server's replies thrown away (the limit), and the
 * driver's own cursor with EJSON.stringify. Compiled with the same flags as mongotap, so that all start alike.
 *
 *   client drain|drain-by-id|driver URI DATABASE COLLECTION [FILE]
 */

import { closeSync, openSync, writeSync } from "node:fs";
import { BSON, Long, MongoClient } from "mongodb";
import { type CursorReply, parseCursorReply } from "../../src/source/cursor-reply.ts";

/** More than any reply holds: the server cuts at 16 MB. */
const BATCH_SIZE = 10_000_000;
/** What is gathered before it is written. */
const PIECE = 1 << 20;

const [work, uri = "", database = "", collection = "", file = ""] = process.argv.slice(2);

/** Reads the whole collection as raw replies and returns how many documents they held. */
async function drain(client: MongoClient, query: object): Promise<number> {
  await using session = client.startSession({ causalConsistency: false });
  const run = async (command: object): Promise<CursorReply> =>
    parseCursorReply(await client.db(database).command(command, { session, raw: true }));
  let count = 0;
  let reply = await run({ find: collection, batchSize: BATCH_SIZE, ...query });
  for (;;) {
    count += reply.documents.offsets.length;
    if (reply.id === 0n) return count;
    reply = await run({ getMore: Long.fromBigInt(reply.id), collection, batchSize: BATCH_SIZE });
  }
}

/** As many users of the driver do it, only that lines are gathered before they are written. */
async function exportByDriver(client: MongoClient): Promise<number> {
  const descriptor = openSync(file, "w");
  let lines = "";
  let count = 0;
  for await (const document of client.db(database).collection(collection).find({})) {
    lines += `${BSON.EJSON.stringify(document, { relaxed: true })}\n`;
    count += 1;
    if (lines.length < PIECE) continue;
    writeSync(descriptor, lines);
    lines = "";
  }
  writeSync(descriptor, lines);
  closeSync(descriptor);
  return count;
}

const WORK: Readonly<Record<string, (client: MongoClient) => Promise<number>>> = {
  drain: (client) => drain(client, {}),
  "drain-by-id": (client) => drain(client, { sort: { _id: 1 }, hint: { _id: 1 } }),
  driver: exportByDriver,
};

const chosen = WORK[work ?? ""];
if (!chosen) throw new Error(`one of ${Object.keys(WORK).join(", ")}`);
await using client = new MongoClient(uri);
console.log(await chosen(client));
