/** Faults A3, A7, A8, A10–A12, A16, A21 of docs/reliability.md: what servers answer while their set changes. */
import { beforeAll, expect, test } from "bun:test";
import type { Collection, Document } from "mongodb";
import { startReplicaSet, startStandalone } from "../../scripts/mongod.ts";
import { failCommand } from "../support/fail-point.ts";
import { after, batch, error, insertAt, MOCK_NOW, opened, startMockServer, tokenAt } from "../support/mock-server.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";
import { timeFrom } from "../support/states.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

/** Every code that a getMore of a change stream may fail with while nothing is lost. */
const PASSING = [
  6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 63, 150, 13388, 234, 133, 43, 134, 358, 402, 406,
  407, 412, 136, 50, 237, 175, 96, 11601, 433, 449, 999_999,
] as const;

const LABEL = ["ResumableChangeStreamError"];

test.each([
  ["labelled", LABEL],
  ["without labels", []],
])("A10 every error of a getMore that is not final, %s, is got over: each event once", async (_, labels) => {
  const failed = new Set<number>();
  await using server = await startMockServer({
    now: after(MOCK_NOW, 1_000),
    on: {
      // Each time the stream is opened its first getMore fails with the next code; the second brings an event.
      getMore: () => {
        const code = PASSING.find((one) => !failed.has(one)) ?? 0;
        if (code !== 0 && answered) {
          answered = false;
          failed.add(code);
          return error(code, `fault ${code}`, labels);
        }
        answered = true;
        number += 1;
        const event = insertAt(after(MOCK_NOW, number), { _id: number });
        return batch([event], { postBatchResumeToken: event["_id"] as Document });
      },
    },
  });
  let answered = true;
  let number = 0;
  await using trial = await trialOf(server.uri, ["tail", "shop.orders"]);
  const { stderr } = await trial.expect(0, ["--limit", String(PASSING.length)]);
  expect(stderr.match(/trying again/g)).toHaveLength(PASSING.length);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual(PASSING.map((_, i) => i + 1));
  // Behind the last event each time.
  const tokens = server.commands
    .filter(({ name }) => name === "aggregate")
    .map(({ command }) => command["pipeline"][0].$changeStream.resumeAfter as Document | undefined);
  expect(tokens.slice(2).map((token) => String(token?.["_data"]).slice(0, 18))).toEqual(
    PASSING.slice(1).map((_, i) => String(tokenAt(after(MOCK_NOW, i + 1))["_data"]).slice(0, 18)),
  );
});

test.each([[1], [3]])("A11 opening again may itself fail %d times", async (times) => {
  await using server = await startMockServer({
    on: {
      aggregate: (_, count) => (count > 1 && count <= 1 + times ? error(11_600, "shutting down") : opened()),
      getMore: (_, count) => (count === 1 ? error(11_600, "shutting down", LABEL) : oneEvent()),
    },
  });
  await using trial = await trialOf(server.uri, ["tail", "shop.orders"]);
  const { stderr } = await trial.expect(0, ["--limit", "1"]);
  expect(stderr.match(/trying again/g)).toHaveLength(1 + times);
});

test("A11 opening again that always fails ends with 4 when the time for it is over, and the position is kept", async () => {
  await using server = await startMockServer({
    on: {
      aggregate: (_, count) => (count > 1 ? error(11_600, "shutting down") : opened()),
      getMore: (_, count) => (count === 1 ? oneEvent() : error(11_600, "shutting down", LABEL)),
    },
  });
  await using trial = await trialOf(server.uri, ["tail", "shop.orders"]);
  const { stderr, ms } = await trial.expect(4, ["--retry-for", "2s"]);
  expect(ms).toBeGreaterThan(2_000);
  expect(stderr).toContain("shutting down");
  expect((await trial.saved()).position.stream?.time).toBe(timeFrom("6955b90000000002"));
});

function oneEvent(): Document {
  const event = insertAt(after(MOCK_NOW, 1), { _id: 1 });
  return batch([event], { postBatchResumeToken: event["_id"] as Document });
}

test("A12 a server that cannot fill a reply in its time is asked for less and less, until it can", async () => {
  await using server = await startMockServer({
    on: {
      getMore: ({ batchSize }) => (batchSize > 100 ? error(50, "operation exceeded time limit") : oneEvent()),
    },
  });
  await using trial = await trialOf(server.uri, ["tail", "shop.orders"]);
  await trial.expect(0, ["--limit", "1"]);
  const sizes = server.commands.filter(({ name }) => name === "getMore").map(({ command }) => command["batchSize"]);
  expect(sizes.slice(0, 5)).toEqual([1_000, 500, 250, 125, 62]);
});

async function tailOf(name: string): Promise<{ trial: Trial; collection: Collection<{ _id: number }> }> {
  const collection = database.db.collection<{ _id: number }>(name);
  await collection.insertOne({ _id: 0 });
  return { trial: await trialOf(database.uri, ["tail", `${database.name}.${name}`]), collection };
}

test("A7 A8 cursors, operations and sessions that another client kills cost a tail nothing", async () => {
  const { trial, collection } = await tailOf("killed");
  await using _trial = trial;
  await using tail = trial.start();
  await trial.waitForSaved(() => true, "the first position");
  const admin = database.client.db("admin");
  const current = async (): Promise<Document | undefined> => {
    const match = { $match: { appName: "mongotap", "cursor.cursorId": { $exists: true } } };
    return (await admin.aggregate([{ $currentOp: { idleCursors: true } }, match]).toArray())[0];
  };
  const kills: readonly (() => Promise<unknown>)[] = [
    async () => {
      const op = await waitFor(current, { what: "our cursor" });
      await database.db.command({ killCursors: "$cmd.aggregate", cursors: [op["cursor"].cursorId] });
    },
    async () => {
      const op = await waitFor(async () => (await current())?.["opid"] && (await current()), { what: "our operation" });
      await admin.command({ killOp: 1, op: (op as Document)["opid"] });
    },
    () => admin.command({ killAllSessions: [] }),
  ];
  for (const [i, kill] of kills.entries()) {
    await kill();
    await collection.insertOne({ _id: i + 1 });
    await trial.waitForLines(i + 1);
  }
  tail.kill("SIGTERM");
  const { code, stderr } = await tail.done;
  expect([code, stderr]).toEqual([0, expect.stringContaining("trying again")]);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1, 2, 3]);
});

test("A13 connections that break at every third getMore cost nothing", async () => {
  const { trial, collection } = await tailOf("breaking");
  await using _trial = trial;
  await trial.expect(0, CAUGHT_UP);
  const failCommands = ["getMore"];
  const often = { failCommands, appName: "mongotap", closeConnection: true, activationProbability: 0.3 };
  await using _failPoint = await failCommand(database.client, often);
  await using tail = trial.start(["--limit", "150"]);
  for (let _id = 1; _id <= 150; _id += 1) {
    await collection.insertOne({ _id });
    // Not all of them in one reply: every fifth has to have arrived before the next is written.
    if (_id % 5 === 0) await trial.waitForLines(_id);
  }
  const { code, stderr } = await tail.done;
  expect([code, stderr]).toEqual([0, expect.stringContaining("trying again")]);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
});

test("A3 the only member is gone for longer than anybody has patience: 4, and the next run goes on where it was", async () => {
  await using set = await startReplicaSet({ members: 1 });
  const uri = `${set.uri}&serverSelectionTimeoutMS=1000`;
  await using trial = await trialOf(uri, ["tail", "shop.c", "--allow-missing"]);
  await using tail = trial.start(["--retry-for", "3s"]);
  await trial.waitForSaved(() => true, "the first position");
  await set.members[0].kill("SIGKILL");
  const { code, stderr } = await tail.done;
  expect([code, stderr]).toEqual([4, expect.stringContaining("trying again")]);
  await set.members[0].start();
  await set.primary();
  await trial.expect(0, CAUGHT_UP);
});

test("A16 a standalone server is refused with 10 and what to do; a backfill of it works", async () => {
  await using server = await startStandalone();
  for (const command of ["tail", "capture"]) {
    await using trial = await trialOf(server.uri, [command, "shop.c", "--allow-missing"]);
    const { stderr } = await trial.expect(10);
    expect(stderr).toContain("change streams need a replica set");
    expect(stderr).toContain("--replSet");
    expect(await trial.files()).toEqual({ out: undefined, state: undefined });
  }
  await using backfill = await trialOf(server.uri, ["backfill", "shop.c", "--allow-missing"]);
  await backfill.expect(0);
});
