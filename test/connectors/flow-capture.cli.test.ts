/** Captures of `mongotap flow` from outside, with a runtime that keeps its state and its documents as Flow does. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import type { Document } from "mongodb";
import { type FailPoint, failCommand } from "../support/fail-point.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";
import { filled, lastLog, untilSame } from "./flow-content.ts";
import { capturesOf, type Bound, FlowCapture, FlowSession, type Json, stateKeyOf } from "./flow-runtime.ts";
import { startWriter } from "./flow-writer.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

const { captureOf, bound } = capturesOf(() => database);

/** One session up to now. */
async function catchUp(capture: FlowCapture, all: readonly Bound[]): Promise<FlowSession> {
  await using session = await capture.open(all);
  await untilSame(database, capture, session, all);
  await session.end();
  return session;
}

describe("a capture", () => {
  test("its collections are what a find returns, wherever sessions are killed, stopped or ended", async () => {
    const all = [bound("chaos_large"), bound("chaos_small")];
    const collections = [await filled(database, "chaos_large", 2_000), await filled(database, "chaos_small", 20)];
    const random = randomFor("flow sessions");
    const capture = captureOf({ maxMemory: "1MB" });
    {
      await using writer = startWriter(collections, random);
      for (const how of ["SIGKILL", "SIGTERM", "eof", "SIGKILL", "eof", "SIGKILL", "SIGTERM"] as const) {
        await using session = await capture.open(all);
        const messages = 2 + random.whole(400);
        await session.until(() => session.messages >= messages || writer.writes > 3_000, "the next end");
        await session.end(how);
      }
      expect(writer.writes).toBeGreaterThan(10);
    }
    await catchUp(capture, all);
    // Nothing is sent twice after a session that ended well.
    const last = await catchUp(capture, all);
    expect([last.copied, last.changed]).toEqual([new Map(), new Map()]);
  }, 60_000);

  test("SIGTERM and the end of its requests stop it before it has begun, and while nobody reads", async () => {
    const collection = database.db.collection<Document>("unread");
    await collection.insertMany(Array.from({ length: 200 }, (_, i) => ({ _id: i as never, text: "x".repeat(4_000) })));
    for (const how of ["SIGTERM", "eof"] as const) {
      await using session = startPaused(captureOf(), [bound("unread")]);
      // A pipe does not hold the documents.
      await untilPipeIsFull(session);
      const began = performance.now();
      if (how === "eof") session.cli.endStdin();
      else session.cli.kill(how);
      await session.cli.done;
      expect(performance.now() - began).toBeLessThan(5_000);
    }
    const unreachable = new FlowCapture({ config: { uri: "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=25000" } });
    for (const how of ["SIGTERM", "eof"] as const) {
      await using session = await unreachable.open([bound("unread")]);
      const began = performance.now();
      await session.end(how);
      expect(performance.now() - began).toBeLessThan(5_000);
    }
  });

  test("bindings come, go and come back, and a raised counter copies its own binding again, as the others go on", async () => {
    const [a, b, c] = [bound("a"), bound("b"), bound("c")];
    const [collectionA, collectionB] = [
      await filled(database, "a", 10),
      await filled(database, "b", 10),
      await filled(database, "c", 10),
    ];
    const write = async (): Promise<void> => {
      await collectionA.updateOne({ _id: 1 as never }, { $inc: { v: 1 } });
      await collectionB.updateOne({ _id: 1 as never }, { $inc: { v: 1 } });
    };
    const capture = captureOf();
    const countsOf = ({ copied, changed }: FlowSession, of: Bound): number[] => [
      copied.get(stateKeyOf(of)) ?? 0,
      changed.get(stateKeyOf(of)) ?? 0,
    ];
    const keys = (): string[] => Object.keys(capture.state["bindingStateV1"] as Json).toSorted();
    const first = await catchUp(capture, [b, a]);
    expect([countsOf(first, a), countsOf(first, b)]).toEqual([
      [10, 0],
      [10, 0],
    ]);
    // Disabled, and so absent: the index of the other one is another.
    await write();
    const without = await catchUp(capture, [a]);
    expect([countsOf(without, a), keys()]).toEqual([[0, 1], [stateKeyOf(a)]]);
    // Back again, and with another one: copied, because its changes were not read meanwhile.
    await write();
    const back = await catchUp(capture, [b, c, a]);
    expect(countsOf(back, a)).toEqual([0, 1]);
    expect([b, c].map((each) => back.copied.get(stateKeyOf(each)))).toEqual([10, 10]);
    await write();
    const raised = { ...a, backfill: 1 };
    const one = await catchUp(capture, [b, c, raised]);
    expect(one.copied).toEqual(new Map([[stateKeyOf(raised), 10]]));
    expect([countsOf(one, b), countsOf(one, c)]).toEqual([
      [0, 1],
      [0, 0],
    ]);
    expect(keys()).toEqual([b, c, raised].map(stateKeyOf).toSorted());
    await write();
    const all = [
      { ...b, backfill: 1 },
      { ...c, backfill: 1 },
      { ...a, backfill: 2 },
    ];
    const every = await catchUp(capture, all);
    expect(all.map((each) => countsOf(every, each))).toEqual([
      [10, 0],
      [10, 0],
      [10, 0],
    ]);
    expect(keys()).toEqual(all.map(stateKeyOf).toSorted());
  });

  test("a state of another connector is refused, until all counters are raised", async () => {
    await filled(database, "changed_over", 3);
    const capture = captureOf();
    const from = bound("changed_over");
    capture.state = {
      bindingStateV1: { [stateKeyOf(from)]: { backfill: { done: true } } },
      databaseResumeTokens: { x: "AAA" },
    };
    await using session = await capture.open([from]);
    const { code, stderr } = await session.ended();
    expect(code).toBe(3);
    expect(lastLog(stderr)["hint"]).toContain("Raise the backfill counters of all bindings");
    const raised = { ...from, backfill: 1 };
    await catchUp(capture, [raised]);
    expect(Object.keys(capture.state)).not.toContain("databaseResumeTokens");
    // And the same for the state of another cluster.
    capture.state = { ...capture.state, source: { setName: "another" } };
    await using other = await capture.open([raised]);
    expect((await other.ended()).code).toBe(3);
    await catchUp(capture, [{ ...from, backfill: 2 }]);
  });

  test("two databases and names of any kind, in one capture", async () => {
    const other = await testDatabase();
    const names = ["a.b", "ü ñ", 'q"uote', "per%cent", "__proto__", "a/b", "new\nline", "ends.*"];
    const all = names.flatMap((name) => [bound(name), bound(name, 0, other.name)]);
    for (const { collection } of all.slice(0, names.length * 2).filter((_, i) => i % 2 === 0)) {
      await filled(database, collection, 2);
      await filled(other, collection, 1);
    }
    const capture = captureOf();
    await using session = await capture.open(all);
    await untilSame(database, capture, session, all);
    for (const each of all) {
      const collection = database.client.db(each.database).collection<Document>(each.collection);
      await collection.updateOne({ _id: 0 as never }, { $set: { v: each.collection } });
      await collection.insertOne({ _id: "new" as never });
    }
    await untilSame(database, capture, session, all);
    await session.end();
  });

  test("after a drop and $out the documents that come later are there, and the log says what was left out", async () => {
    const collection = await filled(database, "ends", 3);
    await filled(database, "ends_source", 2);
    const capture = captureOf();
    const from = bound("ends");
    await using session = await capture.open([from]);
    await untilSame(database, capture, session, [from]);
    await collection.drop();
    await collection.insertOne({ _id: 10 as never });
    await session.until(() => capture.of(from).has("10"), "what came after the drop");
    await database.db
      .collection("ends_source")
      .aggregate([{ $set: { out: 1 } }, { $out: "ends" }])
      .toArray();
    await session.until(() => capture.of(from).get("0")?.["out"] === 1, "what $out wrote");
    await collection.updateOne({ _id: 1 as never }, { $set: { v: 5 } });
    await session.until(() => capture.of(from).get("1")?.["v"] === 5, "what came after $out");
    const { stderr } = await session.end();
    for (const text of ["ends was dropped", "ends was replaced: $out", "cannot show that what came before it is void"])
      expect(stderr).toContain(text);
  });

  test("a collection that does not exist yet is captured when it does, and a view is refused", async () => {
    const capture = captureOf();
    const from = bound("later");
    await using session = await capture.open([from]);
    await session.until(() => session.checkpoints > 0, "the first checkpoint");
    await filled(database, "later", 2);
    await untilSame(database, capture, session, [from]);
    expect(session.copied.size).toBe(0);
    await session.end();
    await database.db.createCollection("later_seen", { viewOn: "later", pipeline: [] });
    await using refused = await capture.open([from, bound("later_seen")]);
    const { code, stderr } = await refused.ended();
    expect([code, lastLog(stderr)["message"]]).toEqual([10, expect.stringContaining("later_seen is a view")]);
  });
});

describe("lost history", () => {
  let failPoint: FailPoint | undefined;
  afterEach(async () => failPoint?.off());

  test("fails one session, when its new state has been committed, and the next one copies again", async () => {
    await filled(database, "lost", 5);
    const from = bound("lost");
    // What is not committed when a session fails is dropped: here that takes a while.
    const capture = captureOf({}, 300);
    await catchUp(capture, [from]);
    failPoint = await failCommand(database.client, {
      failCommands: ["aggregate"],
      errorCode: 286,
      appName: "mongotap",
    });
    await using session = await capture.open([from]);
    const { code, stderr } = await session.ended();
    await failPoint.off();
    expect([code, session.checkpoints]).toEqual([6, 1]);
    expect(stderr.split("\n").filter((line) => line.includes('"level":"error"'))).toHaveLength(1);
    const { message, kind } = lastLog(stderr);
    expect([kind, message]).toEqual(["history-lost", expect.stringContaining("the next run will backfill again")]);
    await database.db.collection("lost").updateOne({ _id: 1 as never }, { $set: { v: 9 } });
    const again = await catchUp(capture, [from]);
    expect(again.copied.get(stateKeyOf(from))).toBe(5);
  });
});

/** A session whose output is not read. */
function startPaused(capture: FlowCapture, all: readonly Bound[]): FlowSession {
  return new FlowSession(capture, all, { paused: true });
}

/** Waits until a session has begun to write documents, and then stands still: its pipe is full. */
async function untilPipeIsFull({ cli }: FlowSession): Promise<void> {
  let before = 0;
  const isStill = async (): Promise<boolean> => {
    const written = Number(/^wchar: (\d+)$/m.exec(await readFile(`/proc/${cli.pid}/io`, "utf8"))?.[1]);
    const more = written - before;
    before = written;
    // A runtime writes a few bytes to wake its threads.
    return more < 4_096 && cli.stderr.includes("backfilling");
  };
  await waitFor(isStill, { what: "a full pipe", everyMs: 150 });
}
