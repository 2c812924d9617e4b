import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { linesIn, linesOf, tapAt } from "../cli/tap.ts";
import { documents } from "../support/documents.ts";
import { failCommand, type FailCommandOptions } from "../support/fail-point.ts";
import { testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

/** Only our program's commands: the test itself goes on writing. */
const OURS = { appName: "mongotap" } as const;
const RESUMABLE = ["ResumableChangeStreamError"] as const;
const getMore = { failCommands: ["getMore"] } as const;

/** What a server says when it steps down, shuts down, forgets a cursor or is overloaded, with labels and without. */
const FAULTS: readonly (readonly [name: string, fault: FailCommandOptions & { readonly times: number }])[] = [
  ["CursorNotFound", { ...getMore, errorCode: 43, times: 1 }],
  ["NotWritablePrimary, twice", { ...getMore, errorCode: 10107, times: 2 }],
  ["InterruptedDueToReplStateChange", { ...getMore, errorCode: 11602, times: 1 }],
  ["ShutdownInProgress without labels, twice", { ...getMore, errorCode: 91, errorLabels: [], times: 2 }],
  ["MaxTimeMSExpired", { ...getMore, errorCode: 50, times: 1 }],
  [
    "an unknown code that is labelled resumable, twice",
    { ...getMore, errorCode: 12345, errorLabels: RESUMABLE, times: 2 },
  ],
  ["an unknown code without labels", { ...getMore, errorCode: 12345, errorLabels: [], times: 1 }],
  ["a closed connection, twice", { ...getMore, closeConnection: true, times: 2 }],
  [
    "an error, and three more when the stream is opened again",
    { failCommands: ["getMore", "aggregate"], errorCode: 91, times: 4 },
  ],
];

function numbers(from: number, to: number): { _id: number }[] {
  return Array.from({ length: to - from }, (_, i) => ({ _id: from + i }));
}

describe("a tail goes on, and its file holds each change once, when a getMore is answered with", () => {
  test.each(FAULTS)("%s", async (_, fault) => {
    const { db, name, uri, client } = await testDatabase();
    const collection = db.collection<{ _id: number }>("c");
    await collection.insertOne({ _id: -1 });
    await using dir = await tempDir();
    const [out, state] = [dir.join("out"), dir.join("state")];
    await using tail = tapAt(uri).start(["tail", `${name}.c`, "--out", out, "--state", state, "--limit", "60"]);
    await waitFor(() => existsSync(state), { what: "the first position" });
    await collection.insertMany(numbers(0, 20));
    await using failPoint = await failCommand(client, { ...fault, ...OURS });
    await collection.insertMany(numbers(20, 40));
    await failPoint.waitForHits(fault.times);
    await collection.insertMany(numbers(40, 60));
    const { code, stderr } = await tail.done;
    expect(code).toBe(0);
    expect(stderr.match(/trying again in \d+ ms/g)?.length).toBe(fault.times);
    expect((await linesIn(out)).map((line) => line._id)).toEqual(numbers(0, 60).map(({ _id }) => _id));
  });
});

test("a tail on stdout repeats nothing either: it goes on behind the last line that it has written", async () => {
  const { db, name, uri, client } = await testDatabase();
  const collection = db.collection<{ _id: number }>("c");
  await collection.insertOne({ _id: -1 });
  await using dir = await tempDir();
  await using tail = tapAt(uri).start(["tail", `${name}.c`, "--state", dir.join("state"), "--limit", "40"]);
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
  await collection.insertMany(numbers(0, 20));
  await tail.waitForLine((line) => line.startsWith('{"_id":19'));
  await using failPoint = await failCommand(client, { ...getMore, ...OURS, closeConnection: true, times: 2 });
  await failPoint.waitForHits(2);
  await collection.insertMany(numbers(20, 40));
  expect(linesOf((await tail.done).stdout).map((line) => line._id)).toEqual(numbers(0, 40).map(({ _id }) => _id));
});

describe("a backfill goes on, and its file holds each document once, when a find is answered with", () => {
  test.each([
    ["InterruptedAtShutdown", { errorCode: 11600 }],
    ["a closed connection", { closeConnection: true }],
    ["SnapshotUnavailable", { errorCode: 246 }],
    ["SnapshotTooOld", { errorCode: 239 }],
  ])("%s", async (_, fault) => {
    const { db, name, uri, client } = await testDatabase();
    await db.collection("c").insertMany([...documents("small", 3_000)]);
    await using dir = await tempDir();
    // Not the first: a server that cannot be read at all fails at once.
    await using _failPoint = await failCommand(client, {
      failCommands: ["find"],
      ...fault,
      ...OURS,
      activationProbability: 0.3,
    });
    const args = ["backfill", `${name}.c`, "--out", dir.join("out"), "--state", dir.join("state"), "--retry-for", "5s"];
    for (let left = 20; left > 0; left -= 1) {
      const { code } = await tapAt(uri).run(args);
      if (code === 0) break;
      expect(code).toBe(4);
    }
    const ids = (await linesIn(dir.join("out"))).map((line) => JSON.stringify(line._id));
    expect(ids).toEqual([...documents("small", 3_000)].map(({ _id }) => `{"$oid":"${_id.toHexString()}"}`));
  });
});

test("a capture goes on when its stream and its chunks fail again and again: the file folds to the collection", async () => {
  const { db, name, uri, client } = await testDatabase();
  const collection = db.collection<{ _id: number; v: number }>("c");
  await collection.insertMany(numbers(0, 5_000).map((document) => ({ ...document, v: 0 })));
  await using dir = await tempDir();
  const args = ["capture", `${name}.c`, "--out", dir.join("out"), "--state", dir.join("state"), "--until", "caught-up"];
  // Opening is not disturbed: a run that cannot begin fails at once.
  await using failPoint = await failCommand(client, {
    failCommands: ["find", "getMore"],
    ...OURS,
    closeConnection: true,
    activationProbability: 0.2,
  });
  for (let round = 1; round <= 3; round += 1) {
    const capture = tapAt(uri).run(args, { timeoutMs: 50_000 });
    for (let i = 0; i < 100; i += 1) await collection.updateOne({ _id: (i * 37) % 5_000 }, { $set: { v: round } });
    expect((await capture).code).toBe(0);
  }
  await failPoint.off();
  await tapAt(uri).expect(0, args);
  const lines = await linesIn(dir.join("out"));
  const sortKeys = lines.map(({ _id, _meta }) => `${JSON.stringify(_id)} ${_meta?.order}`);
  expect(new Set(sortKeys).size).toBe(sortKeys.length);
  const folded = new Map(lines.map(({ _id, v }) => [_id, v]));
  expect(folded).toEqual(new Map((await collection.find().toArray()).map(({ _id, v }) => [_id, v])));
});

describe("what no retry can cure ends the run at once, with its own code:", () => {
  test.each([
    ["ChangeStreamHistoryLost", 286, 6],
    ["ChangeStreamFatalError", 280, 6],
    ["Unauthorized", 13, 5],
    ["BSONObjectTooLarge: an event above 16 MB", 10334, 9],
  ])("%s", async (_, errorCode, exit) => {
    const { db, name, uri, client } = await testDatabase();
    await db.createCollection("c");
    await using _failPoint = await failCommand(client, { ...getMore, ...OURS, errorCode, alwaysOn: true });
    const { ms, stderr } = await tapAt(uri).expect(exit, ["tail", `${name}.c`]);
    expect(stderr).toContain(String(errorCode));
    expect(stderr).not.toContain("trying again");
    expect(ms).toBeLessThan(10_000);
  });
});

test("--retry-for ends a run with 4 after that time without success; the next run resumes from the state", async () => {
  const { db, name, uri, client } = await testDatabase();
  const collection = db.collection<{ _id: number }>("c");
  await collection.insertOne({ _id: -1 });
  await using dir = await tempDir();
  const args = ["tail", `${name}.c`, "--out", dir.join("out"), "--state", dir.join("state")];
  const tap = tapAt(uri);
  await tap.expect(0, [...args, "--until", "caught-up"]);
  await collection.insertMany(numbers(0, 10));
  await using failPoint = await failCommand(client, { ...getMore, ...OURS, errorCode: 91, alwaysOn: true });
  // Long enough for several attempts also on a machine where each takes a second.
  const { ms, stderr } = await tap.expect(4, [...args, "--retry-for", "4s"]);
  expect(ms).toBeGreaterThanOrEqual(4_000);
  expect(stderr.match(/trying again/g)?.length).toBeGreaterThan(1);
  await failPoint.off();
  await tap.expect(0, [...args, "--until", "caught-up"]);
  expect(await linesIn(dir.join("out"))).toHaveLength(10);
});

test("a tail that is stopped while it looks up a document ends with 0, and the next run has the change", async () => {
  const { db, name, uri, client } = await testDatabase();
  const collection = db.collection<{ _id: number; v: number }>("c");
  await collection.insertOne({ _id: 1, v: 1 });
  await using dir = await tempDir();
  const args = ["tail", `${name}.c`, "--state", dir.join("state")];
  await using tail = tapAt(uri).start(args);
  await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
  await using failPoint = await failCommand(client, { failCommands: ["find"], ...OURS, blockTimeMS: 3_000, times: 1 });
  await collection.updateOne({ _id: 1 }, { $inc: { v: 1 } });
  await failPoint.waitForHits(1);
  tail.kill("SIGTERM");
  const { code, stderr, stdout } = await tail.done;
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(stderr).not.toContain("a fault in mongotap");
  await failPoint.off();
  const { stdout: next } = await tapAt(uri).expect(0, [...args, "--until", "caught-up"]);
  expect(linesOf(next)).toMatchObject([{ _id: 1, v: 2, _meta: { op: "u" } }]);
});
