/**
 * What mongotap is measured against, as a program of its own: the server's replies thrown away (the limit), and what
 * users of the driver do. Compiled with the same flags as mongotap, so that all start alike.
 *
 *   client drain|drain-by-id|driver     URI DATABASE COLLECTION [FILE]
 *   client drain-stream|driver-stream   URI DATABASE COLLECTION SECONDS COUNT [FILE]
 *   client driver-live                  URI DATABASE COLLECTION
 *   client sip                          FIFO BYTES-PER-SECOND
 */

import { type Collection, MongoClient } from "mongodb";
import { drainCollection, drainStream } from "./client/drain.ts";
import { exportCollection, exportLive, exportStream } from "./client/driver.ts";
import { sip } from "./client/sip.ts";

const [work = "", first = "", second = "", ...rest] = process.argv.slice(2);
const [third = "", fourth = "", fifth = "", sixth = ""] = rest;
const by = { sort: { _id: 1 }, hint: { _id: 1 } };

/** Each resolves to what is printed at the end. */
const WORK: Readonly<Record<string, (collection: Collection, client: MongoClient) => Promise<number>>> = {
  drain: (collection, client) => drainCollection(client, collection, {}),
  "drain-by-id": (collection, client) => drainCollection(client, collection, by),
  driver: (collection) => exportCollection(collection, fourth),
  "drain-stream": (collection, client) => drainStream(client, collection, Number(fourth), Number(fifth)),
  "driver-stream": (collection) => exportStream(collection, Number(fourth), Number(fifth), sixth),
  "driver-live": exportLive,
};

if (work === "sip") {
  const { lines, bytes } = await sip(first, Number(second));
  console.log(lines, bytes);
} else {
  const chosen = WORK[work];
  if (!chosen) throw new Error(`one of ${Object.keys(WORK).join(", ")}`);
  await using client = new MongoClient(first);
  console.log(await chosen(client.db(second).collection(third), client));
}
