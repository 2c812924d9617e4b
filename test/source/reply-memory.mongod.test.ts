import { expect, test } from "bun:test";
import { type Binary, type CommandStartedEvent, MongoClient } from "mongodb";
import { AdaptiveBatchSize } from "../../src/source/adaptive-batch.ts";
import { parseBinding } from "../../src/source/bindings.ts";
import { ChangeStream } from "../../src/source/change-stream.ts";
import type { BsonDocuments } from "../../src/source/record.ts";
import { readRange } from "../../src/source/snapshot.ts";
import { documents } from "../support/documents.ts";
import { BEGIN, never, prepare } from "./kinds.ts";

/** SHA-1, or zeros on a server without authentication. */
const SIGNATURE_BYTES = 20;
const SHAPE = { fullDocument: "default", beforeImages: false, splitLargeEvents: false, sharded: false } as const;

test("the cluster time that the driver sends outlives the replies that were released", async () => {
  const { database, collection, settings } = await prepare({});
  await using client = await MongoClient.connect(database.uri, { monitorCommands: true });
  const signatures: number[] = [];
  client.on("commandStarted", ({ command }: CommandStartedEvent) => {
    const hash = command["$clusterTime"]?.signature?.hash as Binary | undefined;
    if (hash !== undefined) signatures.push(hash.length());
  });
  let replies = 0;
  const use = async (found: BsonDocuments): Promise<void> => {
    if (found.byteLength < 64 * 1024) return;
    const { bytes } = found;
    found.release();
    expect(bytes.length).toBe(0);
    replies += 1;
    await collection.updateOne({}, { $inc: { n: 1 } });
    await client.db("admin").command({ ping: 1 });
  };
  const bindings = [parseBinding(`${database.name}.${collection.collectionName}`)];
  await using stream = await ChangeStream.open(
    { ...SHAPE, client, bindings, batchSize: new AdaptiveBatchSize(500) },
    "now",
    never,
  );
  await collection.insertMany([...documents("typical", 3_000)]);
  for await (const chunk of readRange({ ...settings, client, chunkBytes: 200_000 }, BEGIN, never)) {
    await use(chunk.documents);
  }
  const ofRows = replies;
  expect(ofRows).toBeGreaterThan(5);
  for (let left = 3_000; left > 0;) {
    const batch = await stream.next(100);
    left -= batch.documents.count;
    await use(batch.documents);
  }
  expect(replies - ofRows).toBeGreaterThan(4);
  expect(signatures.length).toBeGreaterThan(replies);
  expect(new Set(signatures)).toEqual(new Set([SIGNATURE_BYTES]));
});

test("the parts of a reply that was split free it together", async () => {
  const { database, collection } = await prepare({});
  const bindings = [parseBinding(`${database.name}.${collection.collectionName}`)];
  await using stream = await ChangeStream.open(
    { ...SHAPE, client: database.client, bindings, batchSize: new AdaptiveBatchSize() },
    "now",
    never,
  );
  await collection.insertMany([...documents("typical", 500)]);
  const batch = await stream.next(1_000);
  const { bytes, byteLength } = batch.documents;
  expect(byteLength).toBeGreaterThan(64 * 1024);
  const [head, rest] = stream.split(batch, 4);
  head.documents.release();
  expect(bytes.length).toBe(byteLength);
  rest.documents.release();
  expect(bytes.length).toBe(0);
});
