/** Faults F2–F6, F10 of docs/reliability.md (F1: network.fault.test.ts): networks, names and certificates. */
import { beforeAll, expect, test } from "bun:test";
import { connect, createServer } from "node:net";
import type { Collection } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { tapAt } from "../cli/tap.ts";
import { CANARY } from "../support/cli.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";
import { faultsOf } from "./support/oracle.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

interface Numbered {
  readonly _id: number;
  readonly text?: string;
}

async function proxied(): Promise<{ proxy: Proxy; uri: string }> {
  const { members } = await sharedReplicaSet();
  const proxy = await startProxy({ port: members[0].port });
  return { proxy, uri: `mongodb://127.0.0.1:${proxy.port}/?directConnection=true` };
}

async function newCollection(name: string): Promise<Collection<Numbered>> {
  const collection = database.db.collection<Numbered>(name);
  await collection.insertOne({ _id: 0 });
  return collection;
}

/** Every change from 1 on, in order, once. */
async function expectChanges(trial: Trial, count: number): Promise<void> {
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
}

test("F2 a network that drops everything is noticed within the socket timeout, in every state of the run", async () => {
  const { proxy, uri } = await proxied();
  await using _proxy = proxy;
  const name = `${database.name}.swallowed`;
  const collection = await newCollection("swallowed");
  const impatient = `${uri}&socketTimeoutMS=1500&connectTimeoutMS=1500&serverSelectionTimeoutMS=3000&heartbeatFrequencyMS=500`;
  await using trial = await trialOf(impatient, ["tail", name]);
  await using tail = trial.start();
  await trial.waitForSaved(() => true, "the first position");
  // While a getMore waits.
  proxy.blackhole(true);
  await tail.waitForStderr((line) => line.includes("trying again"), 40_000);
  await collection.insertOne({ _id: 1 });
  proxy.blackhole(false);
  await trial.waitForLines(1);
  // For good: it ends, and says so.
  const already = tail.stderr.length;
  proxy.blackhole(true);
  await waitFor(() => tail.stderr.slice(already).includes("trying again"), { what: "a retry", timeoutMs: 40_000 });
  tail.kill("SIGTERM");
  expect((await tail.done).code).toBe(0);
  // From the very beginning: behind the handshake, or before it.
  const { code, ms, stderr } = await trial.run(["--retry-for", "2s"]);
  expect([code, stderr]).toEqual([4, expect.stringContaining("cannot connect to")]);
  expect(ms).toBeLessThan(30_000);
  proxy.blackhole(false);
  await collection.insertOne({ _id: 2 });
  await trial.expect(0, CAUGHT_UP);
  await expectChanges(trial, 2);
});

test("F3 a slow network with resets now and then costs a capture nothing", async () => {
  const { proxy, uri } = await proxied();
  await using _proxy = proxy;
  const collection = await newCollection("slow");
  await using trial = await trialOf(uri, ["capture", `${database.name}.slow`]);
  proxy.delay(100);
  await using capture = trial.start();
  await trial.waitForSaved(() => true, "the first position");
  for (let _id = 1; _id <= 60; _id += 1) {
    await collection.insertOne({ _id });
    if (_id % 12 === 0) {
      proxy.resetAll();
      await trial.waitForLines(_id - 10);
    }
  }
  capture.kill("SIGTERM");
  const { code, stderr } = await capture.done;
  expect([code, stderr]).toEqual([0, expect.stringContaining("trying again")]);
  await trial.expect(0, CAUGHT_UP);
  expect(await faultsOf(await trial.lines(), collection as never)).toEqual([]);
});

test("F4 a document of 4 MB through a thin wire comes at last: no reply is given up while its bytes are coming", async () => {
  const { proxy, uri } = await proxied();
  await using _proxy = proxy;
  const collection = await newCollection("thin");
  await using trial = await trialOf(`${uri}&socketTimeoutMS=3000`, ["tail", `${database.name}.thin`]);
  await trial.expect(0, CAUGHT_UP);
  await collection.insertOne({ _id: 1, text: "x".repeat(4 << 20) });
  proxy.bandwidth(500_000);
  const { stderr, ms } = await trial.expect(0, CAUGHT_UP);
  expect(ms).toBeGreaterThan(7_000);
  expect(stderr).not.toContain("trying again");
  await expectChanges(trial, 1);
});

const USER = `user:${CANARY}@`;

test("F5 what cannot be reached ends with 4 and one line that says why, without the password", async () => {
  const { members } = await sharedReplicaSet();
  const quick = "serverSelectionTimeoutMS=2000";
  await using tls = await startReplicaSet({ members: 1, tls: true });
  const plain = `127.0.0.1:${members[0].port}`;
  const secure = `127.0.0.1:${tls.members[0].port}`;
  for (const [uri, reason] of [
    [`mongodb://${USER}no-such-host.invalid/?${quick}`, /ENOTFOUND|EAI_AGAIN|getaddrinfo|no-such-host/i],
    [`mongodb://${USER}127.0.0.1:9/?${quick}`, /ECONNREFUSED/],
    [`mongodb://${plain}/?tls=true&${quick}`, /closed|ECONNRESET|SSL|TLS|socket/i],
    [`mongodb://${secure}/?${quick}`, /closed|ECONNRESET|socket/i],
  ] as const) {
    const { code, stderr, stdout } = await tapAt(uri).run(["tail", "shop.orders"]);
    expect([uri, code, stdout]).toEqual([uri, 4, ""]);
    const [first, ...rest] = stderr.trimEnd().split("\n");
    expect(first).toMatch(/^mongotap: cannot connect to mongodb:\/\//);
    expect(first).toMatch(reason);
    expect(rest).toHaveLength(1);
  }
});

test("F6 a certificate for another host, or of an unknown authority, is refused: never the same without TLS", async () => {
  await using elsewhere = await startReplicaSet({ members: 1, tls: { wrongHost: true } });
  await using unknown = await startReplicaSet({ members: 1, tls: true });
  const quick = "&serverSelectionTimeoutMS=2000";
  const withoutAuthority = unknown.uri.replace(/&tlsCAFile=[^&]*/, "");
  for (const [uri, reason] of [
    [elsewhere.uri + quick, /certificate|altnames|ERR_TLS|hostname/i],
    [withoutAuthority + quick, /certificate|self.signed|issuer|authority|verify/i],
  ] as const) {
    const { code, stderr } = await tapAt(uri).run(["backfill", "shop.orders", "--allow-missing"]);
    expect([code, stderr]).toEqual([4, expect.stringMatching(reason)]);
  }
  await tapAt(unknown.uri).expect(0, ["backfill", "shop.orders", "--allow-missing"]);
});

test("F10 a server that is reached by IPv6 alone works", async () => {
  const { members } = await sharedReplicaSet();
  const server = createServer((client) => {
    const upstream = connect({ port: members[0].port, host: "127.0.0.1" });
    for (const socket of [client, upstream]) socket.on("error", () => undefined);
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("unreachable: a TCP server has a port");
  try {
    await newCollection("six");
    const tap = tapAt(`mongodb://[::1]:${address.port}/?directConnection=true`);
    const { stdout } = await tap.expect(0, ["backfill", `${database.name}.six`]);
    expect(stdout).toBe('{"_id":0}\n');
  } finally {
    server.close();
  }
});
