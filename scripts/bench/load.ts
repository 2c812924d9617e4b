/** Fills collections for the benchmark, and leaves the server at rest behind them. */

import type { MongoClient } from "mongodb";
import type { TestDocument } from "../../test/support/documents.ts";

const DATABASE = "bench";

export interface Loaded {
  readonly database: string;
  readonly collection: string;
  readonly documents: number;
  /** Of BSON, before compression. */
  readonly bytes: number;
}

const BATCH = 2_000;
const IN_FLIGHT = 3;

/** Inserts documents 0 … `count` - 1 into a new collection, in order of their `_id`. */
export async function loadCollection(
  client: MongoClient,
  collection: string,
  count: number,
  make: (number: number) => TestDocument,
): Promise<Loaded> {
  const target = client.db(DATABASE).collection<TestDocument>(collection);
  const batchSize = Math.max(10, Math.min(BATCH, Math.floor((BATCH * 800) / bytesOf(make(0)))));
  const flying: Promise<unknown>[] = [];
  for (let from = 0; from < count; from += batchSize) {
    const batch = Array.from({ length: Math.min(batchSize, count - from) }, (_, i) => make(from + i));
    if (flying.length >= IN_FLIGHT) await flying.shift();
    flying.push(target.insertMany(batch, { ordered: true, writeConcern: { w: 1 } }));
  }
  await Promise.all(flying);
  // Everything is on disk now, so that no measured run shares the machine with a checkpoint of these writes.
  await client.db("admin").command({ fsync: 1 });
  const stats = await client.db(DATABASE).command({ collStats: collection });
  if (stats["count"] !== count) throw new Error(`${collection} has ${stats["count"]} documents, not ${count}`);
  return { database: DATABASE, collection, documents: count, bytes: Number(stats["size"]) };
}

function bytesOf(document: TestDocument): number {
  return JSON.stringify(document).length;
}
