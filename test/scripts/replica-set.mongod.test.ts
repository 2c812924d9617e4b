/** The servers that all other tests use. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Document, MongoClient, MongoServerError, type Timestamp } from "mongodb";
import { findMongod, startReplicaSet, startStandalone } from "../../scripts/mongod.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { rejectionOf } from "../support/rejection.ts";
import { waitFor } from "../support/wait.ts";

const PASSWORD = "a/b@c:%d ü";

async function connect(uri: string, serverSelectionTimeoutMS = 15_000): Promise<MongoClient> {
  return await MongoClient.connect(uri, { serverSelectionTimeoutMS, writeConcern: { w: "majority" } });
}

async function hello(client: MongoClient): Promise<Document> {
  return await client.db("admin").command({ hello: 1 });
}

test("a set of one takes majority writes at once, and leaves nothing behind", async () => {
  const set = await startReplicaSet({ members: 1 });
  const [{ pid, dbpath }] = set.members;
  {
    await using client = await connect(set.uri);
    await client.db("a").collection("b").insertOne({ x: 1 });
    expect((await hello(client))["setName"]).toBe("rs");
  }
  await set.stop();
  await set.stop();
  expect(existsSync(dbpath)).toBe(false);
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("a set of three has two secondaries, and another primary after stepDown()", async () => {
  await using set = await startReplicaSet({ members: 3 });
  await using client = await connect(set.uri);
  expect((await hello(client))["hosts"]).toEqual(set.members.map((member) => `127.0.0.1:${member.port}`));
  const before = await set.primary();
  await set.stepDown();
  expect((await set.primary()).port).not.toBe(before.port);
  await client.db("a").collection("b").insertOne({ x: 1 });
});

test("a member that is killed comes back with its data, on its port, and a suspended one answers again", async () => {
  await using set = await startReplicaSet({ members: 1 });
  await using client = await connect(set.uri);
  const collection = client.db("a").collection("b");
  const [member] = set.members;
  const { pid, port } = member;
  await collection.insertOne({ x: 1 });
  await member.kill("SIGKILL");
  expect(member.isRunning).toBe(false);
  await member.start();
  expect((await set.primary()).port).toBe(port);
  expect(member.pid).not.toBe(pid);
  expect(await collection.countDocuments()).toBe(1);
  member.suspend();
  const count = collection.countDocuments();
  expect(await Promise.race([count, sleep(200).then(() => "nothing")])).toBe("nothing");
  member.resume();
  expect(await count).toBe(1);
});

test("with auth: SCRAM-SHA-256 with the right password, and nothing without one", async () => {
  await using set = await startReplicaSet({ members: 1, auth: { user: "ro:ot", password: PASSWORD } });
  await using client = await connect(set.uri);
  await client.db("a").collection("b").insertOne({ x: 1 });
  await using stranger = await connect(set.uriWithoutCredentials);
  expect(set.uriWithoutCredentials).not.toContain("@");
  expect(await rejectionOf(stranger.db("a").collection("b").findOne())).toMatchObject({ code: 13 });
  const wrong = set.uri.replace(/:[^:@]*@/, ":wrong@");
  expect(await rejectionOf(connect(wrong))).toMatchObject({ code: 18 });
  const users = await client.db("admin").command({ usersInfo: "ro:ot" });
  expect(users["users"][0].mechanisms).toEqual(["SCRAM-SHA-256"]);
});

test("with tls: clients that trust the CA connect, others do not", async () => {
  await using set = await startReplicaSet({ members: 1, tls: true });
  expect(readFileSync(set.caFile ?? "", "utf8")).toContain("BEGIN CERTIFICATE");
  await using client = await connect(set.uri);
  expect((await hello(client))["isWritablePrimary"]).toBe(true);
  expect(await rejectionOf(connect(set.uri.replace(/&tlsCAFile=[^&]*/, ""), 500))).toHaveProperty(
    "message",
    expect.stringMatching(/certificate/i),
  );
  expect(await rejectionOf(connect(set.uri.replace(/&tls=.*/, ""), 500))).toBeInstanceOf(Error);
});

test("with tls.wrongHost: clients that trust the CA refuse the name", async () => {
  await using set = await startReplicaSet({ members: 1, tls: { wrongHost: true } });
  expect(await rejectionOf(connect(set.uri, 500))).toHaveProperty(
    "message",
    expect.stringMatching(/IP.*127\.0\.0\.1|host/i),
  );
});

test("a standalone server has no change streams", async () => {
  await using standalone = await startStandalone();
  await using client = await connect(standalone.uri);
  await client.db("a").collection("b").insertOne({ x: 1 });
  expect(await rejectionOf(client.db("a").collection("b").watch().next())).toMatchObject({ code: 40_573 });
});

test("with oplogSizeMB 1 and syncdelay 1 the history is lost within seconds of writes", async () => {
  await using set = await startReplicaSet({ members: 1, oplogSizeMB: 1, syncdelay: 1 });
  await using client = await connect(set.uri);
  const collection = client.db("a").collection<{ text: string }>("b");
  const { operationTime } = await client.db("admin").command({ ping: 1 });
  const startedAt = performance.now();
  const text = "x".repeat(100_000);
  const isLost = async (): Promise<boolean> => {
    await collection.insertMany(Array.from({ length: 50 }, () => ({ text })));
    const oldest = await client.db("local").collection("oplog.rs").find().sort({ $natural: 1 }).limit(1).next();
    return oldest?.["ts"].greaterThan(operationTime) === true;
  };
  await waitFor(isLost, { what: "the oldest entry to go" });
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  const stream = collection.watch([], { startAtOperationTime: operationTime as Timestamp });
  const failure = await rejectionOf(stream.next());
  expect(failure).toBeInstanceOf(MongoServerError);
  expect(failure).toMatchObject({ code: 286 });
});

test("an advertised port is the one that clients and members use", async () => {
  const proxies: Proxy[] = [];
  const advertise = async (port: number): Promise<number> => {
    const proxy = await startProxy({ port });
    proxies.push(proxy);
    return proxy.port;
  };
  await using set = await startReplicaSet({ members: 3, advertise });
  await using client = await connect(set.uri);
  await client.db("a").collection("b").insertOne({ x: 1 });
  expect((await hello(client))["hosts"]).toEqual(proxies.map(({ port }) => `127.0.0.1:${port}`));
  expect(proxies.every(({ accepted }) => accepted > 0)).toBe(true);
  await set.stepDown();
  await client.db("a").collection("b").insertOne({ x: 2 });
  await Promise.all(proxies.map((proxy) => proxy.close()));
});

test("the version asked for is the one that runs, with change streams and fail points", async () => {
  const { version } = await findMongod();
  await using set = await startReplicaSet({ members: 1, version });
  await using client = await connect(set.uri);
  expect((await client.db("admin").command({ buildInfo: 1 }))["version"]).toBe(version);
  // `npm run test:versions` asks for one after the other.
  expect(process.env["MONGOTAP_MONGOD_VERSION"] ?? version).toBe(version);
  const stream = client.db("a").collection("b").watch();
  await stream.tryNext();
  await client.db("a").collection("b").insertOne({ x: 1 });
  expect(await stream.next()).toMatchObject({ operationType: "insert" });
  await stream.close();
  await client.db("admin").command({ configureFailPoint: "failCommand", mode: "off" });
});
