/** Somebody who writes all the time, waits for the majority each time, and remembers what was acknowledged. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "mongodb";
import type { Random } from "../../scripts/lib/random.ts";

export interface Item {
  readonly _id: number;
  readonly v: number;
  readonly note: string;
}

export interface Writer extends AsyncDisposable {
  /** The `v` of every acknowledged insert and replacement, in the order of their acknowledgement. */
  readonly acknowledged: readonly number[];
  /** Resolves when the last write has been acknowledged. */
  stop(): Promise<void>;
}

export interface WriterOptions {
  /** Keys 0 … are there already. */
  readonly keys: number;
  readonly pauseMs: number;
  /** Chooses keys and kinds of writes. */
  readonly random: Random;
}

/**
 * Writes to `collection` until stopped: inserts new keys, updates, replaces and deletes. A key that was deleted comes
 * back when it is even; odd ones never do.
 */
export function startWriter(collection: Collection<Item>, options: WriterOptions): Writer {
  const { pauseMs, random } = options;
  const acknowledged: number[] = [];
  let keys = options.keys;
  let version = 0;
  let isStopped = false;

  async function writeOnce(): Promise<void> {
    version += 1;
    const v = version;
    const key = random.whole(keys);
    const kind = random.next();
    if (kind < 0.3) {
      keys += 1;
      await collection.insertOne({ _id: keys - 1, v, note: "inserted" });
      acknowledged.push(v);
    } else if (kind < 0.6) {
      await collection.updateOne({ _id: key }, { $set: { v, note: `updated ${v}` } });
    } else if (kind < 0.8) {
      await collection.deleteOne({ _id: key });
    } else {
      const isBack = key % 2 === 0;
      const result = await collection.replaceOne({ _id: key }, { v, note: "replaced" }, { upsert: isBack });
      if (result.matchedCount + result.upsertedCount > 0) acknowledged.push(v);
    }
  }

  const work = (async () => {
    while (!isStopped) {
      await writeOnce();
      if (pauseMs > 0) await sleep(pauseMs);
    }
  })();
  work.catch(() => undefined); // thrown by stop()
  const stop = async (): Promise<void> => {
    isStopped = true;
    await work;
  };
  return { acknowledged, stop, [Symbol.asyncDispose]: stop };
}
