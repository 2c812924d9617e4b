/** Changes documents at random, as fast as the server takes it, until its block ends. */
import type { Collection, Document } from "mongodb";
import type { Random } from "../../scripts/lib/random.ts";

export interface Writer extends AsyncDisposable {
  readonly writes: number;
}

/** Of `_id` 0 to 99 in each collection: inserts, updates, replacements and deletions. */
export function startWriter(collections: readonly Collection<Document>[], random: Random): Writer {
  let writes = 0;
  let isStopped = false;
  const write = async (): Promise<void> => {
    while (!isStopped) {
      const collection = collections[writes % collections.length];
      if (collection === undefined) return;
      const filter = { _id: random.whole(100) as never };
      const step = random.whole(4);
      writes += 1;
      if (step === 0) await collection.deleteOne(filter);
      else if (step === 1) await collection.replaceOne(filter, { v: writes, replaced: true }, { upsert: true });
      else await collection.updateOne(filter, { $set: { v: writes, [`f${writes % 5}`]: writes } }, { upsert: true });
    }
  };
  const written = write();
  return {
    get writes() {
      return writes;
    },
    async [Symbol.asyncDispose]() {
      isStopped = true;
      await written;
    },
  };
}
