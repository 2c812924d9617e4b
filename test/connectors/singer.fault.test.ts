/** What a Singer target has after lost history, a kill, a collection that is replaced while workers read: no more and no less. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { MongoClient } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { rollOplog, SMALL_OPLOG } from "../fault/support/oplog.ts";
import { ServerCode } from "../../src/connect/server-errors.ts";
import { documents } from "../support/documents.ts";
import { failCommand } from "../support/fail-point.ts";
import { testDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { type Message, recordsOf, SingerTap, syncedOf, Target, typesOf, withMetadata, type Doc } from "./singer-tap.ts";

let dir: TempDir;

beforeAll(async () => {
  dir = await tempDir();
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

function versionsOf(messages: readonly Message[]): number[] {
  return [...new Set(messages.filter(({ type }) => type === "RECORD").map(({ version }) => version))];
}

test("a run that is killed: the next one, from its last STATE, has the rest and nothing twice", async () => {
  const { db, name, uri } = await testDatabase();
  const COUNT = 6_000;
  await db.collection("c").insertMany([...documents("typical", COUNT)]);
  // Slow enough for two states within the copy, which come every five seconds.
  const slow = await SingerTap.with(dir, { uri, database: name, rateLimit: "500KB" });
  await using killed = await slow.start();
  await killed.waitForLine((line) => line.startsWith('{"type":"STATE"') && line.includes('"copying"'), 30_000);
  killed.kill("SIGKILL");
  const { stdout } = await killed.done;
  const whole = syncedOf(stdout.slice(0, stdout.lastIndexOf("\n") + 1));
  const covered = whole.messages.slice(0, whole.messages.findLastIndex(({ type }) => type === "STATE") + 1);
  expect(recordsOf(covered).length).toBeGreaterThan(0);
  expect(recordsOf(covered).length).toBeLessThan(COUNT);

  const tap = await SingerTap.with(dir, { uri, database: name });
  const rest = await tap.sync({ state: whole.state });
  expect(recordsOf(covered).length + recordsOf(rest.messages).length).toBe(COUNT);
  // The target has loaded what came behind the last state as well.
  const rows = new Target().load([...whole.messages, ...rest.messages]).rows(`${name}_c`);
  expect(rows).toHaveLength(COUNT);
  expect(versionsOf(rest.messages)).toEqual(versionsOf(whole.messages));
});

test("a large collection that $out replaces is copied again with the new version, also where workers have begun before", async () => {
  const { db, name, uri } = await testDatabase();
  const config = { uri, database: name, workers: 2 };
  const without = await SingerTap.with(dir, { ...config, exclude: `${name}.source,${name}.a_new_one` });
  await db.collection("c").insertMany([...documents("typical", 300)]);
  await db.collection("source").insertMany([...documents("typical", 12_000, 10_000)]);
  const first = await without.sync();
  expect(recordsOf(first.messages)).toHaveLength(300);
  const target = new Target().load(first.messages);
  // More than a chunk each, so that workers read the rest: they copy the new one, and then know the version of c from before.
  for (const to of ["c", "a_new_one"])
    await db
      .collection("source")
      .aggregate([{ $out: to }])
      .toArray();
  const tap = await SingerTap.with(dir, { ...config, exclude: `${name}.source` });
  const second = await tap.sync({ state: first.state });
  const ofC = second.messages.filter(({ stream }) => stream === `${name}_c`);
  const [version] = versionsOf(ofC);
  expect(versionsOf(ofC)).toHaveLength(1);
  expect(version).toBeGreaterThan(versionsOf(first.messages)[0] ?? 0);
  expect(ofC.find(({ type }) => type === "ACTIVATE_VERSION")?.version).toBe(version ?? 0);
  const ids = (await db.collection("c").distinct("_id")).map(String).toSorted();
  expect(
    target
      .load(second.messages)
      .rows(`${name}_c`)
      .map(({ _id }) => _id),
  ).toEqual(ids);
});

test("a whole copy that was stopped begins again where the collection was made anew meanwhile", async () => {
  const { db, name, uri } = await testDatabase();
  const id = `${name}_c`;
  await db.collection("c").insertMany([...documents("typical", 6_000)]);
  const tap = await SingerTap.with(dir, { uri, database: name });
  const slow = await SingerTap.with(dir, { uri, database: name, rateLimit: "500KB" });
  const catalog = withMetadata(await tap.discover(), id, { "replication-method": "FULL_TABLE" });
  await using stopped = await slow.start({ catalog });
  await stopped.waitForLine((line) => line.startsWith('{"type":"STATE"'), 30_000);
  stopped.kill("SIGTERM");
  const cut = syncedOf((await stopped.done).stdout);
  expect(recordsOf(cut.messages).length).toBeLessThan(6_000);
  await db.collection("c").drop();
  const anew = [...documents("typical", 2, 20_000)];
  await db.collection("c").insertMany(anew);
  const rest = await tap.sync({ catalog, state: cut.state });
  const rows = new Target().load([...cut.messages, ...rest.messages]).rows(id);
  expect(rows.map(({ _id }) => _id)).toEqual(anew.map(({ _id }) => _id.toHexString()));
});

test("a collection that takes over the name of a stream is copied, and the rows of the other are void", async () => {
  const { client, db, name, uri } = await testDatabase();
  const other = client.db(`${name}_a`);
  const tap = await SingerTap.with(dir, { uri, database: `${name},${name}_a` });
  await db.collection<Doc>("a.b").insertOne({ _id: 1 });
  const first = await tap.sync();
  const id = `${name}_a_b`;
  expect(Object.keys(first.state.bookmarks)).toEqual([id]);
  await db.collection("a.b").drop();
  await other.collection<Doc>("b").insertOne({ _id: 2 });
  const second = await tap.sync({ state: first.state });
  expect(new Target().load([...first.messages, ...second.messages]).rows(id)).toEqual([{ _id: 2 }]);
});

test("lost history: the run ends with 6, and its STATE makes the next one copy again and void the rows before", async () => {
  await using set = await startReplicaSet({ members: 1, ...SMALL_OPLOG });
  const client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  await using _ = { [Symbol.asyncDispose]: () => client.close() };
  const collection = client.db("shop").collection<Doc>("orders");
  await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
  const tap = await SingerTap.with(dir, { uri: set.uri, database: "shop" });
  const first = await tap.sync();
  const target = new Target().load(first.messages);
  await collection.deleteOne({ _id: 1 });
  await rollOplog(client);
  const lost = await tap.sync({ state: first.state }, 6);
  expect(new Set(typesOf(lost.messages))).toEqual(new Set(["SCHEMA", "STATE"]));
  await collection.insertOne({ _id: 3 });
  // Before the stream is open the rows are not void: nothing would come instead of them.
  const catalog = await tap.discover();
  const refused = await (async () => {
    await using _refusal = await failCommand(client, { failCommands: ["aggregate"], errorCode: 13 });
    return await tap.sync({ catalog, state: lost.state }, 5);
  })();
  expect(new Set(typesOf(refused.messages))).toEqual(new Set(["SCHEMA"]));
  const again = await tap.sync({ state: lost.state });
  expect(target.load([...lost.messages, ...refused.messages, ...again.messages]).rows("shop_orders")).toEqual([
    { _id: 2 },
    { _id: 3 },
  ]);
  const types = typesOf(again.messages).filter((type) => type !== "STATE");
  expect(types.slice(0, 2)).toEqual(["SCHEMA", "ACTIVATE_VERSION"]);
  expect(versionsOf(again.messages)[0]).toBeGreaterThan(versionsOf(first.messages)[0] ?? 0);

  // A stream that is ahead of the lost one goes on from where it is.
  const users = client.db("shop").collection<Doc>("users");
  await users.insertMany([{ _id: 1 }, { _id: 2 }]);
  await rollOplog(client);
  const onlyUsers = await SingerTap.with(dir, { uri: set.uri, database: "shop", exclude: "shop.orders" });
  const ofUsers = await onlyUsers.sync({ state: again.state });
  await users.insertOne({ _id: 3 });
  const half = await tap.sync({ state: ofUsers.state }, 6);
  expect(half.state.bookmarks["shop_users"]).toEqual(ofUsers.state.bookmarks["shop_users"]);
  const both = await tap.sync({ state: half.state });
  expect(recordsOf(both.messages, "shop_users").map(({ _id }) => _id)).toEqual([3]);
  expect(recordsOf(both.messages, "shop_orders").map(({ _id }) => _id)).toEqual([2, 3]);
  target.load([...ofUsers.messages, ...half.messages, ...both.messages]);
  expect([target.rows("shop_orders").length, target.rows("shop_users").length]).toEqual([2, 3]);

  // Or in the same run.
  await collection.deleteOne({ _id: 2 });
  await rollOplog(client);
  const now = await SingerTap.with(dir, { uri: set.uri, database: "shop", onHistoryLost: "now" });
  const same = await now.sync({ state: both.state });
  expect(target.load(same.messages).rows("shop_orders")).toEqual([{ _id: 3 }]);
}, 120_000);

test("lost history that is copied again at once, by workers: all rows have the new version, and the next run keeps them", async () => {
  const { client, db, name, uri } = await testDatabase();
  await db.collection("c").insertMany([...documents("typical", 12_000, 10_000)]);
  const tap = await SingerTap.with(dir, { uri, database: name, onHistoryLost: "now", workers: 2, maxMemory: "1GB" });
  const catalog = await tap.discover(); // so that a run has no other aggregate than that of the stream
  const first = await tap.sync({ catalog });
  const lost = { failCommands: ["aggregate"], errorCode: ServerCode.ChangeStreamHistoryLost, appName: "mongotap" };
  await using _lost = await failCommand(client, { ...lost, times: 1 });
  const again = await tap.sync({ catalog, state: first.state });
  expect(recordsOf(again.messages)).toHaveLength(12_000);
  expect(versionsOf(again.messages)).toHaveLength(1);
  expect(versionsOf(again.messages)[0]).toBeGreaterThan(versionsOf(first.messages)[0] ?? 0);
  const next = await tap.sync({ catalog, state: again.state });
  const target = new Target().load([...first.messages, ...again.messages, ...next.messages]);
  expect(target.rows(`${name}_c`)).toHaveLength(12_000);
});
