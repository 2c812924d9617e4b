/** Helpers that speak to the shared replica set. */
import { expect, test } from "bun:test";
import { BSON, MongoClient } from "mongodb";
import { documents, everyIdType, insertEveryIdType } from "../support/documents.ts";
import { failCommand } from "../support/fail-point.ts";
import { rejectionOf } from "../support/rejection.ts";
import { sharedReplicaSet, testDatabase } from "../support/replica-set.ts";

test("testDatabase() gives a new, empty database on the one shared set each time", async () => {
  const [one, other] = [await testDatabase(), await testDatabase()];
  expect(one.name).not.toBe(other.name);
  expect(one.uri).toBe(other.uri);
  await one.db.collection("a").insertOne({ x: 1 });
  expect(await other.db.collection("a").countDocuments()).toBe(0);
});

test("the shared set restarts after its server was killed", async () => {
  const { db } = await testDatabase();
  await db.collection("a").insertOne({ x: 1 });
  const [member] = (await sharedReplicaSet()).members;
  await member.kill("SIGTERM");
  const again = await testDatabase();
  expect(await again.client.db(db.databaseName).collection("a").countDocuments()).toBe(1);
});

test("failCommand() fails a command N times, reports it, and is off after its block", async () => {
  const { client, db } = await testDatabase();
  {
    await using failPoint = await failCommand(client, { failCommands: ["find"], errorCode: 43, times: 2 });
    const errors = [await rejectionOf(db.collection("a").findOne()), await rejectionOf(db.collection("a").findOne())];
    expect(errors).toEqual([expect.objectContaining({ code: 43 }), expect.objectContaining({ code: 43 })]);
    await failPoint.waitForHits(2);
    expect(await db.collection("a").findOne()).toBeNull();
    expect((await rejectionOf(failPoint.waitForHits(3, 100))).message).toContain("time");
  }
  {
    await using _failPoint = await failCommand(client, { failCommands: ["find"], errorCode: 43 });
    await rejectionOf(db.collection("a").findOne());
  }
  expect(await db.collection("a").findOne()).toBeNull();
});

test("failCommand() with an appName leaves other clients alone", async () => {
  const { client, db, uri } = await testDatabase();
  await using victim = new MongoClient(uri, { appName: "victim", retryReads: false });
  const options = { failCommands: ["find"], closeConnection: true, appName: "victim" };
  await using _failPoint = await failCommand(client, options);
  expect(await db.collection("a").findOne()).toBeNull();
  expect((await rejectionOf(victim.db(db.databaseName).collection("a").findOne())).name).toBe("MongoNetworkError");
});

test("failCommand() blocks a command for a while", async () => {
  const { client, db } = await testDatabase();
  await using _failPoint = await failCommand(client, { failCommands: ["find"], blockTimeMS: 200, times: 1 });
  const startedAt = performance.now();
  await db.collection("a").findOne();
  expect(performance.now() - startedAt).toBeGreaterThan(190);
});

test("the server takes an _id of every type in everyIdType, as it is", async () => {
  const { db } = await testDatabase();
  await insertEveryIdType(db.collection("ids"));
  const all = await db.collection("ids").find({}, { promoteValues: false, raw: true }).toArray();
  const bytes = (id: unknown, name: string): string => Buffer.from(BSON.serialize({ _id: id, name })).toString("hex");
  const stored = all.map((document) => Buffer.from(document as unknown as Uint8Array).toString("hex"));
  expect(stored.toSorted()).toEqual(everyIdType.map(({ id, name }) => bytes(id, name)).toSorted());
});

test("documents() are of their size, all different, and the same each time", () => {
  const sizes = { small: 200, typical: 800, large: 20_000 } as const;
  for (const kind of ["small", "typical", "large"] as const) {
    const bytes = [...documents(kind, 500)].map((document) => BSON.serialize(document));
    const mean = bytes.reduce((sum, { length }) => sum + length, 0) / bytes.length;
    expect(mean).toBeGreaterThan(sizes[kind] * 0.9);
    expect(mean).toBeLessThan(sizes[kind] * 1.1);
    expect(new Set(bytes.map((document) => Buffer.from(document).toString("hex"))).size).toBe(500);
  }
  expect([...documents("typical", 3, 7)]).toEqual([...documents("typical", 10)].slice(7));
});
