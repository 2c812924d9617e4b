/**
 * Measures reading a collection in chunks, each with its own `find`, against one cursor with replies as large as the server
 * allows: the figures of docs/decisions/004-one-find-per-chunk.md. `bun scripts/bench/chunks.ts`
 */

import { Long, MongoClient } from "mongodb";
import { listCollections } from "../../src/source/catalog.ts";
import { parseCursorReply } from "../../src/source/cursor-reply.ts";
import { readRange } from "../../src/source/snapshot.ts";
import { newOrder } from "../demo/orders.ts";
import { Random } from "../lib/random.ts";
import { startReplicaSet } from "../mongod.ts";

const DOCUMENTS = 400_000;
const ROUNDS = 7;
/** The chunk size of the program if memory is not limited. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Totals of one pass. */
interface Drained {
  documents: number;
  bytes: number;
  replies: number;
}

async function byChunks(client: MongoClient): Promise<Drained> {
  const drained = { documents: 0, bytes: 0, replies: 0 };
  const [info] = await listCollections(client, "shop");
  if (!info) throw new Error("the collection is missing");
  const settings = { client, info, standalone: false, notBefore: undefined, chunkBytes: CHUNK_BYTES };
  for await (const { documents } of readRange(settings, { documents: 0, done: false }, new AbortController().signal)) {
    count(drained, documents);
  }
  return drained;
}

async function byCursor(client: MongoClient): Promise<Drained> {
  const drained = { documents: 0, bytes: 0, replies: 0 };
  await using session = client.startSession({ causalConsistency: false });
  const ask = async (command: object): Promise<bigint> => {
    const reply = parseCursorReply(await client.db("shop").command(command, { session, raw: true }));
    count(drained, reply.documents);
    return reply.id;
  };
  const sort = { hint: { _id: 1 }, sort: { _id: 1 } };
  let id = await ask({ find: "orders", ...sort, batchSize: 1_000, readConcern: { level: "snapshot" } });
  while (id !== 0n) id = await ask({ getMore: Long.fromBigInt(id), collection: "orders" });
  return drained;
}

function count(drained: Drained, { bytes, offsets }: { bytes: Uint8Array; offsets: readonly number[] }): void {
  drained.documents += offsets.length;
  drained.bytes += bytes.length;
  drained.replies += 1;
}

async function fill(client: MongoClient): Promise<void> {
  const orders = client.db("shop").collection("orders");
  const random = new Random(1);
  for (let i = 0; i < DOCUMENTS; i += 5_000) {
    await orders.insertMany(Array.from({ length: 5_000 }, (_, j) => newOrder(random, i + j)));
  }
}

await using set = await startReplicaSet({ members: 1, cacheGB: 1 });
await using client = await MongoClient.connect(set.uri);
await fill(client);
const ways = [
  { name: "chunks", read: byChunks, times: [] as number[] },
  { name: "cursor", read: byCursor, times: [] as number[] },
];
for (let round = 0; round <= ROUNDS; round += 1) {
  for (const { name, read, times } of round % 2 === 0 ? ways : ways.toReversed()) {
    const begin = performance.now();
    const { documents, bytes, replies } = await read(client);
    if (documents !== DOCUMENTS) throw new Error(`${name} read ${documents} documents, not ${DOCUMENTS}`);
    if (round === 0) console.log(`${name}: ${(bytes / 1e6).toFixed(0)} MB in ${replies} replies`);
    else times.push(performance.now() - begin);
  }
}
for (const { name, times } of ways) {
  const sorted = times.toSorted((a, b) => a - b).map(Math.round);
  console.log(`${name}: median ${sorted[ROUNDS >> 1]} ms (${sorted.join(", ")})`);
}
