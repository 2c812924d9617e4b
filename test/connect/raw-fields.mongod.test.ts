import { expect, test } from "bun:test";
import { type Db, MongoClient } from "mongodb";
import { runCommand } from "../../src/connect/run-command.ts";
import { arrayElement, element, idFilterElement, rawValue } from "../../src/source/raw-bson.ts";
import { oneField, prefixed } from "../codec/raw-bson.ts";
import { rejectionOf } from "../support/rejection.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";

/** Latin-1: the driver can neither read nor write it. */
const IDS = ["M\xfcller", "S\xf8ren"].map((name) => prefixed(Buffer.from(name, "latin1")));

async function insert({ client, name }: TestDatabase): Promise<void> {
  const documents = IDS.map((id) => rawValue(3, oneField(2, id, "_id")));
  const rawFields = arrayElement("documents", documents);
  const reply = await runCommand(client, name, { insert: "c", writeConcern: { w: "majority" } }, { rawFields });
  expect(reply["n"]).toBe(2);
}

async function countFound(client: MongoClient, db: Db, ids: readonly Uint8Array[]): Promise<number> {
  await using session = client.startSession();
  const rawFields = idFilterElement(ids.map((id) => rawValue(2, id)));
  const command = { find: "c", projection: { _id: 0, n: 1 }, readConcern: { level: "majority" } };
  const reply = await runCommand(client, db.databaseName, command, { rawFields, session });
  return (reply["cursor"] as { firstBatch: unknown[] }).firstBatch.length;
}

test.each(["", "&compressors=zlib"])("raw fields reach the server, with a session, options %p", async (options) => {
  const database = await testDatabase();
  await insert(database);
  await using client = await MongoClient.connect(database.uri + options);
  for (let times = 0; times < 2; times += 1) {
    expect(await countFound(client, database.db, IDS)).toBe(2);
    expect(await countFound(client, database.db, IDS.slice(1))).toBe(1);
    expect(await countFound(client, database.db, [prefixed(Buffer.from("M"))])).toBe(0);
  }
});

test("the server sees every raw field: it refuses one that it does not know", async () => {
  const { client, name } = await testDatabase();
  const rawFields = element("unheardOf", rawValue(0x0a, new Uint8Array(0)));
  const error = await rejectionOf(runCommand(client, name, { find: "c" }, { rawFields }));
  expect(error.message).toContain("unheardOf");
});
