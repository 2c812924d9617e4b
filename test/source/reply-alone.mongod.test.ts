import { expect, test } from "bun:test";
import { type Binary, type CommandStartedEvent, MongoClient } from "mongodb";
import { giveBack } from "../../src/lib/give-back.ts";
import { bsonBytes } from "../../src/source/record.ts";
import { readRange } from "../../src/source/snapshot.ts";
import { documents } from "../support/documents.ts";
import { BEGIN, never, prepare } from "./kinds.ts";

/** As the server signs the cluster time: SHA-1, or as many zeros where nobody has to log in. */
const SIGNATURE_BYTES = 20;

test("what the driver tells the server of the cluster time outlives the replies that were given back", async () => {
  const { database, collection, settings } = await prepare({});
  await collection.insertMany([...documents("typical", 3_000)]);
  await using client = await MongoClient.connect(database.uri, { monitorCommands: true });
  const signatures: number[] = [];
  client.on("commandStarted", ({ command }: CommandStartedEvent) => {
    const hash = command["$clusterTime"]?.signature?.hash as Binary | undefined;
    if (hash !== undefined) signatures.push(hash.length());
  });
  let replies = 0;
  for await (const { documents: found } of readRange({ ...settings, client, chunkBytes: 200_000 }, BEGIN, never)) {
    if (bsonBytes(found) < 64 * 1024) continue;
    expect(found.isOwn).toBe(true);
    giveBack(found.bytes);
    expect(found.bytes.length).toBe(0);
    replies += 1;
    await collection.updateOne({}, { $inc: { n: 1 } });
    await client.db("admin").command({ ping: 1 });
  }
  expect(replies).toBeGreaterThan(5);
  expect(signatures.length).toBeGreaterThan(replies);
  expect(new Set(signatures)).toEqual(new Set([SIGNATURE_BYTES]));
});
