/** Faults A21 and A22 of docs/reliability.md: servers that have too much to do. */
import { describe, expect, test } from "bun:test";
import { type Document, MongoClient } from "mongodb";
import { type Member, startReplicaSet } from "../../scripts/mongod.ts";
import { documents } from "../support/documents.ts";
import { after, collectionOf, error, MOCK_NOW, type MockServer, startMockServer } from "../support/mock-server.ts";
import { waitFor } from "../support/wait.ts";
import { tapAt } from "../cli/tap.ts";
import { getMores, inserts } from "./support/mock-replies.ts";
import { trialOf } from "./support/trial.ts";

test("A21 an overloaded server is asked less and less often, about once a second at most", async () => {
  const busy = error(462, "the server is overloaded", ["SystemOverloadedError", "RetryableError"]);
  await using server = await startMockServer({ on: { getMore: () => busy } });
  await using trial = await trialOf(server.uri, ["tail", "shop.orders"]);
  await trial.expect(4, ["--retry-for", "6s"]);
  const tries = server.commands.filter(({ name }) => name === "getMore").map(({ at }) => at);
  const gaps = tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
  expect(tries.length).toBeLessThanOrEqual(8);
  expect(gaps[0]).toBeGreaterThanOrEqual(1_000);
});

/** How long it took until a `find` came again, each time. */
function pauses({ commands }: MockServer): number[] {
  const tries = commands.filter(({ name }) => name === "find").map(({ at }) => at);
  return tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
}

describe("A21 a chunk that an overloaded server refuses is asked for again after a second, or when it says,", () => {
  const LABELS = ["SystemOverloadedError", "RetryableError"];

  test.each([
    ["462 with its labels", error(462, "too many requests", LABELS), 1_000],
    ["462 without labels", error(462, "too many requests"), 1_000],
    ["433 without labels", error(433, "the queue is full"), 1_000],
    ["a code that is new, with labels", error(99_999, "not now", LABELS), 1_000],
    ["a server that says how long", { ...error(462, "too many requests", LABELS), baseBackoffMS: 1_700 }, 1_700],
  ])("%s: the first one and a later one", async (_, refusal, least) => {
    const find = collectionOf([1, 2, 3]);
    const refuses = new Set([1, 3]);
    await using server = await startMockServer({
      on: { find: (command, count) => (refuses.has(count) ? refusal : find(command, count)) },
    });
    await using trial = await trialOf(server.uri, ["backfill", "shop.orders"]);
    const { stderr } = await trial.expect(0);
    expect(stderr.match(/trying again in \d+ ms/g)).toHaveLength(2);
    expect(pauses(server)[0]).toBeGreaterThanOrEqual(least);
    expect(pauses(server)[2]).toBeGreaterThanOrEqual(least);
    expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1, 2, 3]);
  });
});

test("A22 while the majority lags, a capture asks for no chunk and goes on with its stream", async () => {
  let lagMs = 20_000;
  const lastWrite = (): Document => {
    const now = Date.now();
    return { lastWrite: { lastWriteDate: new Date(now), majorityWriteDate: new Date(now - lagMs) } };
  };
  await using server = await startMockServer({
    on: { find: collectionOf([1, 2, 3], after(MOCK_NOW, 50)), getMore: getMores(inserts(7), inserts(8)) },
    hello: lastWrite,
  });
  await using trial = await trialOf(server.uri, ["capture", "shop.orders"]);
  await using capture = trial.start();
  await capture.waitForStderr((line) => line.includes("is 20 s behind its primary: reading waits"));
  expect((await trial.waitForLines(2)).map(({ _id }) => _id)).toEqual([7, 8]);
  // Heartbeats move the position on, past the events.
  await trial.waitForSaved(({ position }) => (position.stream?.time ?? "") > "6955b90000000009", "a later position");
  expect(server.commands.filter(({ name }) => name === "find")).toEqual([]);
  lagMs = 0;
  await capture.waitForStderr((line) => line.includes("reading goes on"));
  expect((await trial.waitForLines(5)).map(({ _id }) => _id)).toEqual([7, 8, 1, 2, 3]);
  capture.kill();
  expect((await capture.done).stderr.match(/reading/g)).toHaveLength(2);
});

/** Lags from its second `find` on. */
async function serverThatBeginsToLag(ids: readonly number[]): Promise<MockServer> {
  const find = collectionOf(ids);
  let lagMs = 0;
  return await startMockServer({
    on: {
      getMore: getMores(inserts(7)),
      async find(command, count) {
        lagMs = 60_000;
        await Bun.sleep(1_200); // so that it is time to ask for the lag
        return find(command, count);
      },
    },
    hello: () => ({ lastWrite: { lastWriteDate: new Date(lagMs), majorityWriteDate: new Date(0) } }),
  });
}

describe("A22 while the majority lags, for as long as the test runs,", () => {
  const ids = Array.from({ length: 3_000 }, (_, i) => i);

  test.each(["backfill", "capture"])("a %s ends on a signal", async (command) => {
    await using server = await serverThatBeginsToLag(ids);
    await using trial = await trialOf(server.uri, [command, "shop.orders"]);
    await using running = trial.start();
    await running.waitForStderr((line) => line.includes("reading waits"));
    running.kill();
    // The majority never catches up: a run that waited for it would not end.
    expect((await running.done).code).toBe(command === "backfill" ? 12 : 0);
  });

  test.each([
    ["backfill", 1_000],
    ["capture", 1],
    ["capture", 1_001],
  ])("a %s with --limit %d ends after its last line", async (command, limit) => {
    await using server = await serverThatBeginsToLag(ids);
    await using trial = await trialOf(server.uri, [command, "shop.orders", "--limit", String(limit)]);
    await trial.run([]);
    expect(await trial.lines()).toHaveLength(limit);
  });

  test.each(["backfill", "capture"])("a %s ends when its disk is full", async (command) => {
    await using server = await serverThatBeginsToLag(ids);
    await tapAt(server.uri).expect(8, [command, "shop.orders", "--out", "/dev/full"]);
  });
});

test("A22 with --max-lag 0s a backfill neither waits for the majority nor asks the server about it", async () => {
  let hellos = 0;
  const lastWrite = { lastWriteDate: new Date(60_000), majorityWriteDate: new Date(0) };
  await using server = await startMockServer({
    on: { find: collectionOf([1, 2, 3]) },
    hello: () => ((hellos += 1), { lastWrite }),
  });
  await using trial = await trialOf(server.uri, ["backfill", "shop.orders"]);
  await trial.expect(0, ["--max-lag", "0s"]);
  const without = hellos;
  expect(await trial.lines()).toHaveLength(3);
  await using patient = await trialOf(server.uri, ["backfill", "shop.orders"]);
  hellos = 0;
  await patient.expect(0, ["--max-lag", "2m"]);
  expect(hellos).toBeGreaterThan(without);
});

/** The member hears of no new writes until this is disposed of. */
async function stopReplication({ address }: Member): Promise<AsyncDisposable> {
  const client = await MongoClient.connect(`mongodb://${address}/?directConnection=true`);
  const configure = (mode: string): Promise<unknown> =>
    client.db("admin").command({ configureFailPoint: "stopReplProducer", mode });
  await configure("alwaysOn");
  await client.db("admin").command({ waitForFailPoint: "stopReplProducer", timesEntered: 1, maxTimeMS: 30_000 });
  return {
    async [Symbol.asyncDispose]() {
      await configure("off");
      await client.close();
    },
  };
}

test("A22 a real set whose secondaries no longer follow is left alone until they do", async () => {
  await using set = await startReplicaSet({ members: 3 });
  await using client = await MongoClient.connect(set.uri);
  const all = [...documents("typical", 2_000)];
  await client
    .db("shop")
    .collection("orders")
    .insertMany(all, { writeConcern: { w: 3 } });
  const primary = await set.primary();
  await using trial = await trialOf(set.uri, ["backfill", "shop.orders", "--rate-limit", "250kB", "--max-lag", "3s"]);
  await using backfill = trial.start();
  await trial.waitForLines(1);
  {
    await using stopped = new AsyncDisposableStack();
    for (const member of set.members) if (member !== primary) stopped.use(await stopReplication(member));
    let isTold = false;
    const told = backfill.waitForStderr((line) => line.includes("behind its primary: reading waits"));
    told.then(() => (isTold = true)).catch(() => undefined);
    const others = client.db("shop").collection("others");
    await waitFor(async () => (await others.insertOne({}, { writeConcern: { w: 1 } })) && isTold, {
      what: "the lag to be noticed",
      everyMs: 200,
    });
    const { length } = await trial.lines();
    await Bun.sleep(2_500);
    expect(await trial.lines()).toHaveLength(length);
    expect(length).toBeLessThan(all.length);
  }
  await backfill.waitForStderr((line) => line.includes("reading goes on"));
  const { code, stderr } = await backfill.done;
  expect([code, stderr.match(/reading/g)?.length]).toEqual([0, 2]);
  const ids = (await trial.lines()).map(({ _id }) => (_id as { $oid: string }).$oid);
  expect(ids).toEqual(all.map(({ _id }) => _id.toHexString()));
}, 60_000);
