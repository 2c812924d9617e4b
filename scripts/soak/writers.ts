/**
 * Writers that know nothing of each other: they insert, update, replace and delete the same few documents, alone and in
 * transactions. What came of it is in the oplog; what was acknowledged is kept to prove that the oplog was read.
 */

import type { ClientSession, Collection, Db, MongoClient } from "mongodb";

import type { Random } from "../lib/random.ts";
import { contentOf, type Numbered } from "./content.ts";

export interface Writers {
  /** The numbers of the acknowledged writes that left a document behind. */
  readonly acknowledged: ReadonlySet<number>;
  /** The next number. */
  readonly next: () => number;
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

interface Shared {
  readonly client: MongoClient;
  readonly db: Db;
  readonly collections: readonly string[];
  readonly acknowledged: Set<number>;
  readonly next: () => number;
  readonly gate: { paused: boolean; stopped: boolean; idle: number };
}

const WRITERS = 12;
const KEYS = 120;
/** The share of the writes that go to one document. */
const HOT = 0.2;

/** Writes to `collections` of `db` with majority write concern until stopped. */
export function startWriters(
  client: MongoClient,
  db: Db,
  collections: readonly string[],
  randomFor: (name: string) => Random,
): Writers {
  let v = 0;
  const acknowledged = new Set<number>();
  const gate = { paused: false, stopped: false, idle: 0 };
  const shared: Shared = { client, db, collections, acknowledged, next: () => (v += 1), gate };
  const done = Promise.all(Array.from({ length: WRITERS }, (_, i) => work(shared, randomFor(`writer ${i}`))));
  done.catch(() => undefined); // stop() throws it
  return {
    acknowledged,
    next: shared.next,
    async pause() {
      gate.paused = true;
      while (gate.idle < WRITERS) await sleep(5);
    },
    resume() {
      gate.paused = false;
    },
    async stop() {
      gate.stopped = true;
      await done;
    },
  };
}

async function work(shared: Shared, random: Random): Promise<void> {
  const { gate } = shared;
  while (!gate.stopped) {
    if (gate.paused) {
      gate.idle += 1;
      while (gate.paused && !gate.stopped) await sleep(5);
      gate.idle -= 1;
      continue;
    }
    const collection = shared.db.collection<Numbered>(random.pick(shared.collections));
    // What fails has happened or not: the oplog knows.
    await (random.next() < 0.06 ? transact(shared, collection, random) : writeOnce(shared, collection, random)).catch(
      () => sleep(20),
    );
    await sleep(random.whole(6));
  }
}

async function transact(shared: Shared, collection: Collection<Numbered>, random: Random): Promise<void> {
  const session = shared.client.startSession();
  const made: number[] = [];
  try {
    session.startTransaction();
    const count = 2 + random.whole(5);
    for (let i = 0; i < count; i += 1) made.push(...(await write(shared, collection, random, session)));
    await session.commitTransaction();
  } catch (error) {
    await session.abortTransaction().catch(() => undefined);
    throw error;
  } finally {
    await session.endSession();
  }
  // A later write of the transaction may have hidden an earlier one, but each is in the oplog.
  for (const v of made) shared.acknowledged.add(v);
}

async function writeOnce(shared: Shared, collection: Collection<Numbered>, random: Random): Promise<void> {
  for (const v of await write(shared, collection, random)) shared.acknowledged.add(v);
}

/** One write; resolves to its number if it has left a document behind. */
async function write(
  shared: Shared,
  collection: Collection<Numbered>,
  random: Random,
  session?: ClientSession,
): Promise<number[]> {
  const options = session === undefined ? {} : { session };
  const isHot = random.next() < HOT;
  const key = isHot ? "hot" : `k${random.whole(KEYS)}`;
  const v = shared.next();
  const document = contentOf(key, v);
  const chance = random.next();
  if (!isHot && chance < 0.15) {
    await collection.deleteOne({ _id: key }, options);
    return [];
  }
  // A replacement that the server itself makes is logged as a difference; one that the client sends is not.
  const { modifiedCount, upsertedCount } =
    chance < 0.22
      ? await collection.replaceOne({ _id: key }, document, { ...options, upsert: true })
      : await collection.updateOne({ _id: key }, [{ $replaceWith: { $literal: document } }], {
          ...options,
          upsert: isHot || chance < 0.6,
        });
  return modifiedCount + upsertedCount > 0 ? [v] : [];
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
