/** Faults B1–B3, B5, B6, B12 of docs/reliability.md: the oplog no longer reaches back to the position. */
import { expect, test } from "bun:test";
import { type Collection, MongoClient } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { waitFor } from "../support/wait.ts";
import { oldestOf, rollOplog, SMALL_OPLOG } from "./support/oplog.ts";
import { faultsOf } from "./support/oracle.ts";
import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";
import { nameToNamespace } from "../../src/source/bindings.ts";

const { set, client } = await ownReplicaSet("lost", SMALL_OPLOG);
let collections = 0;

interface Numbered {
  readonly _id: number;
  readonly v?: number;
}

function newCollection(): { name: string; collection: Collection<Numbered> } {
  collections += 1;
  return { name: `lost.c${collections}`, collection: client.db("lost").collection<Numbered>(`c${collections}`) };
}

async function expectLost(trial: Trial, more: readonly string[] = []): Promise<void> {
  const before = await trial.files();
  const { stderr } = await trial.expect(6, more);
  const fault = stderr.split("\n").find((line) => line.includes("no longer holds the changes since"));
  expect(fault).toMatch(/since the saved position of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*286/);
  expect(stderr).toContain("Start over with --fresh, and enlarge the oplog");
  expect(await trial.files()).toEqual(before);
}

test("B1 a tail behind an event that has left the oplog ends with 6, says since when, and touches nothing", async () => {
  const { name, collection } = newCollection();
  await using trial = await trialOf(set.uri, ["tail", name, "--allow-missing"]);
  await trial.expect(0, CAUGHT_UP);
  await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
  await trial.expect(0, ["--limit", "1"]);
  // The token of an event, not a high-water mark.
  expect((await trial.saved()).position.stream?.filter).toEqual([nameToNamespace(name)]);
  await rollOplog(client);
  await expectLost(trial);
  await expectLost(trial, CAUGHT_UP);
});

test("B2 the same behind a high-water mark, and for a tail that begins at a time of long ago", async () => {
  const { name } = newCollection();
  await using trial = await trialOf(set.uri, ["tail", name, "--allow-missing"]);
  await trial.expect(0, CAUGHT_UP);
  const { position } = await trial.saved();
  expect(position.stream?.filter).toBeUndefined();
  await rollOplog(client);
  await expectLost(trial);
  await using other = await trialOf(set.uri, ["tail", name, "--allow-missing", "--start-at", "2020-01-01T00:00:00Z"]);
  // Never from now instead, not in the next run either.
  for (let run = 0; run < 2; run += 1) expect((await other.expect(6)).stderr).toContain("2020-01-01T00:00:00Z");
});

test("B3 a tail that slept while the oplog turned over wakes up to 6, not to endless attempts", async () => {
  const { name, collection } = newCollection();
  await using trial = await trialOf(set.uri, ["tail", name, "--allow-missing"]);
  await using tail = trial.start();
  await trial.waitForSaved(() => true, "the first position");
  await collection.insertOne({ _id: 1 });
  await trial.waitForLines(1);
  tail.kill("SIGSTOP");
  // A getMore that is under way walks on with the oplog for a second.
  await Bun.sleep(2_500);
  await rollOplog(client);
  tail.kill("SIGCONT");
  const { code, stderr } = await tail.done;
  expect(stderr).toContain("no longer holds the changes since");
  expect(code).toBe(6);
});

test("B5 a quiet collection survives any turnover of the oplog elsewhere, because its position moves on", async () => {
  const { name, collection } = newCollection();
  await collection.insertOne({ _id: 1 });
  await using trial = await trialOf(set.uri, ["capture", name]);
  await using capture = trial.start();
  const first = await trial.waitForSaved(({ position }) => position.collections[name]?.phase === "live", "a copy");
  await rollOplog(client, { times: 10 });
  const oldest = await oldestOf(client);
  await trial.waitForSaved(({ position }) => (position.stream?.time ?? "") > oldest, "a position behind the turnover");
  capture.kill("SIGKILL");
  await capture.done;
  await collection.insertOne({ _id: 2 });
  await trial.expect(0, CAUGHT_UP);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1, 2]);
  // What happens to a client that keeps only the position of the last event.
  await trial.forge((saved) => ({ ...saved, position: first.position }));
  await trial.expect(6, [...CAUGHT_UP, "--on-history-lost", "fail"]);
});

test("B6 a long history of others is walked through with the position moving and memory flat", async () => {
  const { name, collection } = newCollection();
  await using big = await startReplicaSet({ members: 1 });
  const bigClient = await MongoClient.connect(big.uri);
  try {
    await using trial = await trialOf(big.uri, ["tail", name, "--allow-missing"]);
    await trial.expect(0, CAUGHT_UP);
    const before = (await trial.saved()).position.stream?.time ?? "";
    const noise = bigClient.db("noise").collection("noise");
    for (let i = 0; i < 50; i += 1) {
      await noise.insertMany(Array.from({ length: 1_000 }, (_, n) => ({ n, text: "x".repeat(1_000) })));
    }
    await using tail = trial.start();
    let most = 0;
    await waitFor(
      async () => {
        const status = await Bun.file(`/proc/${tail.pid}/status`).text();
        most = Math.max(most, Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0));
        return ((await trial.saved()).position.stream?.time ?? "") > before;
      },
      { what: "the position to move on", timeoutMs: 45_000 },
    );
    await bigClient.db("lost").collection<Numbered>(collection.collectionName).insertOne({ _id: 1 });
    await trial.waitForLines(1);
    expect(most).toBeLessThan(300_000);
  } finally {
    await bigClient.close();
  }
});

test("B1 a capture that has lost its history ends with 6, and the next run copies again, then streams", async () => {
  const { name, collection } = newCollection();
  await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
  await using trial = await trialOf(set.uri, ["capture", name]);
  await trial.expect(0, CAUGHT_UP);
  await collection.updateOne({ _id: 1 }, { $set: { v: 1 } }); // lost
  await rollOplog(client);
  const untouched = await trial.files();
  await trial.expect(6, ["--on-history-lost", "fail"]);
  expect(await trial.files()).toEqual(untouched);
  const { stderr } = await trial.expect(6);
  expect(stderr).toContain("the next run will backfill again");
  expect(await trial.lines()).toHaveLength(2);
  await collection.deleteOne({ _id: 2 });
  await trial.expect(0, CAUGHT_UP);
  await collection.insertOne({ _id: 3 });
  await trial.expect(0, CAUGHT_UP);
  const lines = await trial.lines();
  expect(lines.map(({ _id, v, _meta }) => [_id ?? _meta?.reason, v, _meta?.snapshot])).toEqual([
    [1, undefined, true],
    [2, undefined, true],
    ["copied again", undefined, undefined],
    [1, 1, true],
    [3, undefined, undefined],
  ]);
  // `now` does both in one run.
  await rollOplog(client);
  await trial.expect(0, [...CAUGHT_UP, "--on-history-lost", "now"]);
  expect(await trial.lines()).toHaveLength(8);
});

test("B12 a copy that never ends before the oplog turns over is given up after three losses", async () => {
  const { name, collection } = newCollection();
  await collection.insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id })));
  await using trial = await trialOf(set.uri, ["capture", name]);
  await trial.expect(12, [...CAUGHT_UP, "--limit", "1"]);
  for (let loss = 1; loss <= 3; loss += 1) {
    await rollOplog(client);
    const { stderr } = await trial.expect(6);
    expect(stderr).toContain("the next run will backfill again");
    await trial.expect(12, [...CAUGHT_UP, "--limit", "1"]);
    expect((await trial.saved()).position.losses).toBe(loss);
  }
  await rollOplog(client);
  const before = await trial.files();
  for (const policy of ["next-run", "now"]) {
    const { stderr } = await trial.expect(6, ["--on-history-lost", policy]);
    expect(stderr).toContain("this is the 4th loss in a row: copying takes longer than the oplog lasts");
    expect(await trial.files()).toEqual(before);
  }
  await trial.expect(0, [...CAUGHT_UP, "--fresh"]);
  expect(await faultsOf(await trial.lines(), collection as never)).toEqual([]);
});
