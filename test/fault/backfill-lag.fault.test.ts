/** Faults D6, D7, D11 of docs/reliability.md: what is copied while it changes, or copied from a server that lags. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Collection, type Document, MongoClient } from "mongodb";
import { type Member, type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import type { RangeReadable } from "../../src/pipeline/backfill.ts";
import type { Chunk } from "../../src/source/record.ts";
import { rejectionOf } from "../support/rejection.ts";
import { faultsOf } from "./support/oracle.ts";
import { type Capture, captureOf, readableFrom } from "./support/pipeline.ts";
import { clusterTime } from "../../src/source/record.ts";

interface Numbered {
  readonly _id: number;
  readonly v: number;
}

let set: ReplicaSet;
let client: MongoClient;
let lagging: MongoClient;
let collections = 0;

beforeAll(async () => {
  set = await startReplicaSet({ members: 3 });
  client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  const primary = await set.primary();
  const secondary = set.members.find((member) => member !== primary) as Member;
  lagging = await MongoClient.connect(`mongodb://${secondary.address}/?directConnection=true`);
});

afterAll(async () => {
  await Promise.all([client.close(), lagging.close()]);
  await set.stop();
});

/** Documents 0 … 9 with `v: 0`, on all members. */
async function newCollection(options: object = {}): Promise<Collection<Numbered>> {
  collections += 1;
  const collection = await client.db("lag").createCollection<Numbered>(`c${collections}`, options);
  const rows = Array.from({ length: 10 }, (_, _id) => ({ _id, v: 0 }));
  await collection.insertMany(rows, { writeConcern: { w: 3 } });
  return collection;
}

/** A member no longer hears of new writes. By default it is one secondary: the majority goes on without it. */
async function stopReplication(address = lagging.options.hosts[0]?.toString()): Promise<AsyncDisposable> {
  const member = await MongoClient.connect(`mongodb://${address}/?directConnection=true`);
  const admin = member.db("admin");
  const configure = (mode: string): Promise<Document> =>
    admin.command({ configureFailPoint: "stopReplProducer", mode });
  const { count } = (await configure("alwaysOn")) as { count?: number };
  await admin.command({ waitForFailPoint: "stopReplProducer", timesEntered: (count ?? 0) + 1, maxTimeMS: 30_000 });
  return {
    async [Symbol.asyncDispose]() {
      await configure("off");
      await member.close();
    },
  };
}

async function wholeAfter(capture: Capture, collection: Collection<Numbered>): Promise<void> {
  expect(await faultsOf(capture.lines(), collection as never)).toEqual([]);
}

test("D6 a copy from a lagging secondary waits until that has the position of the stream: no update is lost", async () => {
  const collection = await newCollection();
  const copied = await readableFrom(lagging, collection as never);
  await using capture = captureOf(client, [copied]);
  {
    await using _stopped = await stopReplication();
    await collection.updateOne({ _id: 3 }, { $set: { v: 1 } }); // before the stream is opened, and not on the secondary
    capture.start();
    await Bun.sleep(500);
    expect(capture.lines()).toEqual([]);
  }
  expect(await capture.done).toBe("finished");
  await wholeAfter(capture, collection);
});

test("D6 what the primary has applied and no majority has yet, when the stream is opened, is in the copy: it waits for it", async () => {
  const collection = await newCollection();
  const copied = await readableFrom(client, collection as never);
  const primary = await set.primary();
  const others = set.members.filter((member) => member !== primary);
  await using capture = captureOf(client, [copied]);
  {
    await using stopped = new AsyncDisposableStack();
    for (const { address } of others) stopped.use(await stopReplication(address));
    // The stream begins behind it, since its server has it; a snapshot of what the majority has is older.
    await collection.updateOne({ _id: 3 }, { $set: { v: 1 } }, { writeConcern: { w: 1 } });
    capture.start();
    await Bun.sleep(500);
    expect(capture.lines()).toEqual([]);
  }
  expect(await capture.done).toBe("finished");
  await wholeAfter(capture, collection);
});

test("D6 the same without the check of the time loses the update for ever", async () => {
  const collection = await newCollection();
  const right = await readableFrom(lagging, collection as never);
  const wrong: RangeReadable = { ...right, read: (progress, signal, limit) => right.read(progress, signal, limit) };
  await using capture = captureOf(client, [wrong]);
  await using _stopped = await stopReplication();
  await collection.updateOne({ _id: 3 }, { $set: { v: 1 } });
  capture.start();
  expect(await capture.done).toBe("finished");
  expect(await faultsOf(capture.lines(), collection as never)).toEqual([
    '3 is {"_id":3,"v":1}, the output says {"_id":3,"v":0}',
  ]);
});

test("D6 a capped collection has no snapshots: the lagging server itself waits until it has the position", async () => {
  const collection = await newCollection({ capped: true, size: 1 << 20 });
  const copied = await readableFrom(lagging, collection as never);
  await using capture = captureOf(client, [copied]);
  {
    await using _stopped = await stopReplication();
    await collection.updateOne({ _id: 3 }, { $set: { v: 1 } });
    capture.start();
    await Bun.sleep(500);
    expect(capture.lines()).toEqual([]);
  }
  expect(await capture.done).toBe("finished");
  await wholeAfter(capture, collection);
});

test("D7 a document that is deleted behind the chunk that holds it does not come back", async () => {
  const collection = await newCollection();
  const right = await readableFrom(client, collection as never);
  // Between the reading of a chunk and its writing everything happens.
  let isDue = true;
  const slow: RangeReadable = {
    ...right,
    async *read(...asked) {
      for await (const chunk of right.read(...asked)) {
        yield await afterWrites(chunk);
      }
    },
  };
  async function afterWrites(chunk: Chunk): Promise<Chunk> {
    if (!isDue) return chunk;
    isDue = false;
    await collection.deleteOne({ _id: 1 });
    await collection.updateOne({ _id: 2 }, { $set: { v: 1 } });
    await collection.deleteOne({ _id: 4 });
    await collection.insertOne({ _id: 4, v: 2 });
    await collection.insertOne({ _id: 10, v: 1 });
    return chunk;
  }
  await using capture = captureOf(client, [slow]);
  capture.start();
  expect(await capture.done).toBe("finished");
  await using after = captureOf(client, [slow], capture.position);
  after.start();
  expect(await after.done).toBe("finished");
  const lines = [...capture.lines(), ...after.lines()];
  expect(await faultsOf(lines, collection as never)).toEqual([]);
  const [row, event] = lines.filter(({ _id }) => _id === 1);
  expect([row?._meta?.snapshot, event?._meta?.op]).toEqual([true, "d"]);
});

test("D7 the same with chunks stamped with the time of their writing resurrects it", async () => {
  const collection = await newCollection();
  const right = await readableFrom(client, collection as never);
  // Events first, documents when they arrive: tools that stamp documents with the time of writing do this.
  const wrong: RangeReadable = {
    ...right,
    async *read(...asked) {
      for await (const chunk of right.read(...asked)) {
        await collection.deleteOne({ _id: 1 });
        const { operationTime } = await client.db("admin").command({ ping: 1 });
        yield { ...chunk, at: clusterTime(operationTime.t, operationTime.i) };
      }
    },
  };
  await using capture = captureOf(client, [wrong]);
  capture.start();
  expect(await capture.done).toBe("finished");
  const faults = await faultsOf(capture.lines(), collection as never);
  expect(faults).toContain("1 is in the output and not in the collection");
});

test("D11 a backfill whose collection is dropped and made again under way ends with `ended`: half of each is neither", async () => {
  const collection = await newCollection();
  const right = await readableFrom(client, collection as never);
  const slow: RangeReadable = {
    ...right,
    async *read(...asked) {
      for await (const chunk of right.read(...asked)) {
        await collection.drop();
        await collection.insertOne({ _id: 100, v: 0 });
        yield chunk;
      }
    },
  };
  await using backfill = captureOf(client, [slow], undefined, "backfill");
  backfill.start();
  const error = await rejectionOf(backfill.done);
  expect(error.message).toContain("was dropped or re-created while it was being copied");
  expect(error).toMatchObject({ kind: "ended", exitCode: 7 });
});
