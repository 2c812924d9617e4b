import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { type Collection, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import { linesIn, linesOf, type Tap, tapAt } from "../cli/tap.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

/** A server that forgets its history within a second or two. */
let set: ReplicaSet;
let client: MongoClient;
let tap: Tap;

beforeAll(async () => {
  set = await startReplicaSet({ members: 1, oplogSizeMB: 1, syncdelay: 1 });
  client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  tap = tapAt(set.uri);
});

afterAll(async () => {
  await client.close();
  await set.stop();
});

interface OplogEntry {
  readonly ts: { toString(): string };
}

/** Writes elsewhere until nothing that is in the oplog now is left. */
async function loseHistory(): Promise<void> {
  const oplog: Collection<OplogEntry & { _id: never }> = client.db("local").collection("oplog.rs");
  const [newest] = await oplog.find().sort({ $natural: -1 }).limit(1).toArray();
  const filler = client.db("filler").collection("filler");
  const documents = (): { text: string }[] => Array.from({ length: 50 }, () => ({ text: "x".repeat(36_000) }));
  await waitFor(
    async () => {
      await filler.insertMany(documents());
      const [oldest] = await oplog.find().sort({ $natural: 1 }).limit(1).toArray();
      return BigInt(String(oldest?.ts)) > BigInt(String(newest?.ts));
    },
    { what: "the oplog to forget", timeoutMs: 40_000 },
  );
  await filler.drop();
}

describe("when the saved position has left the oplog", () => {
  test("a tail ends with 6, says so each time, and moves neither output nor position; --fresh begins anew", async () => {
    const collection = client.db("shop").collection<{ _id: number }>("tailed");
    await collection.insertOne({ _id: -1 });
    await using dir = await tempDir();
    const [out, state] = [dir.join("out"), dir.join("state")];
    const args = ["tail", "shop.tailed", "--out", out, "--state", state, "--until", "caught-up"];
    await tap.expect(0, args);
    await collection.insertOne({ _id: 1 });
    await tap.expect(0, args);
    await collection.insertOne({ _id: 2 });
    await loseHistory();
    const before = [await readFile(out, "utf8"), (await loadCheckpoint(state, { readOnly: true }))?.position];
    for (let run = 0; run < 2; run += 1) {
      const { stderr } = await tap.expect(6, args);
      expect(stderr).toContain("no longer holds the changes since the saved position");
      const after = [await readFile(out, "utf8"), (await loadCheckpoint(state, { readOnly: true }))?.position];
      expect(after).toEqual(before);
    }
    await tap.expect(0, [...args, "--fresh"]);
    await collection.insertOne({ _id: 3 });
    await tap.expect(0, args);
    expect((await linesIn(out)).map((line) => line._id)).toEqual([3]);
  });

  test("a capture ends with 6, and the next run copies again: the last lines are what the collection holds", async () => {
    const collection = client.db("shop").collection<{ _id: number; v: number }>("captured");
    await collection.insertMany(Array.from({ length: 10 }, (_, i) => ({ _id: i, v: 0 })));
    await using dir = await tempDir();
    const args = [
      "capture",
      "shop.captured",
      "--out",
      dir.join("out"),
      "--state",
      dir.join("state"),
      "--until",
      "caught-up",
    ];
    await tap.expect(0, args);
    await collection.updateMany({}, { $set: { v: 1 } });
    await loseHistory();
    const { stderr } = await tap.expect(6, args);
    expect(stderr).toContain("the next run will backfill again");
    expect(await linesIn(dir.join("out"))).toHaveLength(10);
    await tap.expect(0, args);
    const lines = await linesIn(dir.join("out"));
    expect(lines[10]?._meta).toMatchObject({ op: "t", reason: "copied again", source: { collection: "captured" } });
    expect(lines.slice(11).map(({ _id, v, _meta }) => [_id, v, _meta?.copy])).toEqual(
      Array.from({ length: 10 }, (_, i) => [i, 1, 2]),
    );
    await collection.deleteOne({ _id: 4 });
    await tap.expect(0, args);
    expect((await linesIn(dir.join("out"))).slice(21).map(({ _id, _meta }) => [_id, _meta?.op])).toEqual([[4, "d"]]);
  });

  test("--start-at with a time that the oplog no longer knows ends with 6: what is lost is not passed over", async () => {
    const collection = client.db("shop").collection<{ _id: number }>("timed");
    const began = Math.floor(Date.now() / 1_000);
    await collection.insertOne({ _id: 1 });
    await loseHistory();
    const { stdout, stderr } = await tap.expect(6, ["tail", "shop.timed", "--start-at", String(began)]);
    expect(stdout).toBe("");
    expect(stderr).toContain("no longer holds the changes");
  });
});

test("a quiet collection keeps its position while the oplog turns over: killed -9 and started again, nothing is lost", async () => {
  const collection = client.db("shop").collection<{ _id: number }>("quiet");
  await collection.insertOne({ _id: 0 });
  await using dir = await tempDir();
  const state = dir.join("state");
  const args = ["tail", "shop.quiet", "--state", state, "--out", dir.join("out")];
  const savedTime = async (): Promise<string> =>
    (await loadCheckpoint(state, { readOnly: true }))?.position.stream?.time ?? "";
  {
    await using tail = tap.start(args);
    const first = await waitFor(savedTime, { what: "the first position" });
    await loseHistory();
    const time = await timeNow();
    // A position without lines is saved every ten seconds.
    await waitFor(async () => (await savedTime()) >= time, {
      what: `the position to move on from ${first}`,
      timeoutMs: 30_000,
    });
    tail.kill("SIGKILL");
    await tail.done;
  }
  await collection.insertOne({ _id: 1 });
  await tap.expect(0, [...args, "--until", "caught-up"]);
  expect(linesOf(await readFile(dir.join("out"), "utf8")).map((line) => line._id)).toEqual([1]);
});

/** The server's time, as it is written in a state. */
async function timeNow(): Promise<string> {
  const { operationTime } = (await client.db("admin").command({ ping: 1 })) as {
    operationTime: { toBigInt(): bigint };
  };
  return operationTime.toBigInt().toString(16).padStart(16, "0");
}
