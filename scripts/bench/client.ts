/**
 * A program that mongotap is measured against: it discards the replies of the server (the limit), or does what users of the
 * driver do. Compiled with the same flags as mongotap, so that both start equally fast.
 *
 *   client drain|drain-by-id|driver     URI DATABASE COLLECTION [FILE]
 *   client drain-stream|drain-lookup    URI DATABASE COLLECTION SECONDS COUNT
 *   client driver-stream                URI DATABASE COLLECTION SECONDS COUNT FILE
 *   client driver-live                  URI DATABASE COLLECTION
 *   client slow-reader                  FIFO BYTES-PER-SECOND
 */

import { type Collection, MongoClient } from "mongodb";
import { drainCollection, drainStream } from "./client/drain.ts";
import { exportCollection, exportLive, exportStream } from "./client/driver.ts";
import { readSlowly } from "./client/slow-reader.ts";

const [work = "", first = "", second = "", ...rest] = process.argv.slice(2);
const [third = "", fourth = "", fifth = "", sixth = ""] = rest;
const by = { sort: { _id: 1 }, hint: { _id: 1 } };

/** Each resolves with what the program prints at its end. */
const WORK: Readonly<Record<string, (collection: Collection, client: MongoClient) => Promise<number>>> = {
  drain: (collection, client) => drainCollection(client, collection, {}),
  "drain-by-id": (collection, client) => drainCollection(client, collection, by),
  driver: (collection) => exportCollection(collection, fourth),
  "drain-stream": (collection, client) =>
    drainStream(client, collection, { seconds: Number(fourth), count: Number(fifth) }),
  "drain-lookup": (collection, client) =>
    drainStream(client, collection, { seconds: Number(fourth), count: Number(fifth), fullDocument: "updateLookup" }),
  "driver-stream": (collection) => exportStream(collection, Number(fourth), Number(fifth), sixth),
  "driver-live": exportLive,
};

if (work === "slow-reader") {
  const { lines, bytes } = await readSlowly(first, Number(second));
  console.log(lines, bytes);
} else {
  const chosen = WORK[work];
  if (!chosen) throw new Error(`one of ${Object.keys(WORK).join(", ")}`);
  await using client = new MongoClient(first);
  console.log(await chosen(client.db(second).collection(third), client));
}
