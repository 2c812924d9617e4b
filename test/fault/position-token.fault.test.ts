/** Faults B4, B7–B10 of docs/reliability.md: positions that are damaged, foreign, or were made with another command line. */
import { beforeAll, expect, test } from "bun:test";
import { truncate } from "node:fs/promises";
import { BSON, Double, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import type { Checkpoint } from "../../src/state/checkpoint.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";
import { rollOplog, SMALL_OPLOG } from "./support/oplog.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";
import type { ClusterTime } from "../../src/source/record.ts";
import { timeFrom } from "../support/states.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

/** A tail whose position is the token of an event. */
async function tailBehindEvent(name: string): Promise<Trial> {
  const trial = await trialOf(database.uri, ["tail", `${database.name}.${name}`, "--allow-missing"]);
  await trial.expect(0, CAUGHT_UP);
  await database.db.collection<{ _id: number }>(name).insertMany([{ _id: 1 }, { _id: 2 }]);
  await trial.expect(0, ["--limit", "1"]);
  return trial;
}

function withToken(saved: Checkpoint, token: object, time?: ClusterTime): Checkpoint {
  const { stream } = saved.position;
  if (!stream) throw new Error("no position to damage");
  const damaged = {
    ...stream,
    token: Buffer.from(BSON.serialize(token)).toString("base64"),
    time: time ?? stream.time,
  };
  return { ...saved, position: { ...saved.position, stream: damaged } };
}

function dataOf(saved: Checkpoint): string {
  const { _data } = BSON.deserialize(Buffer.from(saved.position.stream?.token ?? "", "base64"));
  return String(_data);
}

test("B7 a damaged token ends with 3 or 6, or is still understood: never a wait without end, never a start from now", async () => {
  await using trial = await tailBehindEvent("damaged");
  const whole = await trial.saved();
  const data = dataOf(whole);
  const flipped = (at: number): string =>
    `${data.slice(0, at)}${(Number.parseInt(data.slice(at, at + 1), 16) ^ 1).toString(16).toUpperCase()}${data.slice(at + 1)}`;
  const damages: Readonly<Record<string, object>> = {
    "one character less": { _data: data.slice(0, -1) },
    "one byte less": { _data: data.slice(0, -2) },
    "a digit of its begin flipped": { _data: flipped(1) },
    "a digit of its seconds flipped": { _data: flipped(9) },
    "a digit of its version flipped": { _data: flipped(21) },
    "a digit of its middle flipped": { _data: flipped(data.length >> 1) },
    "its last digit flipped": { _data: flipped(data.length - 1) },
    "empty data": { _data: "" },
    "no data": {},
    "no hex": { _data: "zz".repeat(20) },
    "a number": { _data: 7 },
  };
  for (const [damage, token] of Object.entries(damages)) {
    await trial.forge(() => withToken(whole, token));
    const before = await trial.files();
    const { code, stderr } = await trial.run(CAUGHT_UP);
    if (code === 3 || code === 6) expect([damage, await trial.files()]).toEqual([damage, before]);
    else if (code !== 0) throw new Error(`${damage}: ended with ${code}: ${stderr}`);
    else {
      // The server knew what was meant: then exactly that has come.
      expect([damage, (await trial.lines()).map(({ _id }) => _id)]).toEqual([damage, [1, 2]]);
      await truncate(trial.out, whole.outputs[0]?.bytes);
    }
  }
  await trial.forge(() => whole);
  await trial.expect(0, CAUGHT_UP);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1, 2]);
});

test("B7 B10 a position of tomorrow, as one of another cluster or of before a restore is, ends with 3 and does not wait for it", async () => {
  await using trial = await tailBehindEvent("tomorrow");
  const whole = await trial.saved();
  const data = dataOf(whole);
  const seconds = (Number.parseInt(data.slice(2, 10), 16) + 86_400).toString(16);
  const token = { _data: `82${seconds.toUpperCase()}${data.slice(10)}` };
  await trial.forge(() => withToken(whole, token, timeFrom(seconds + data.slice(10, 18).toLowerCase())));
  const before = await trial.files();
  const { stderr } = await trial.expect(3);
  expect(stderr).toContain("the saved position is ahead of the server's own time");
  expect(await trial.files()).toEqual(before);
  const typed = ["tail", `${database.name}.tomorrow`, "--start-at", token._data];
  await using other = await trialOf(database.uri, typed);
  // It is no saved position: the command line is at fault.
  await other.expect(2);
});

test("B8 another full document, image or scope than the state was made with ends with 3 and names the difference", async () => {
  await using trial = await tailBehindEvent("asked");
  const before = await trial.files();
  for (const [args, difference] of [
    [["--full-document", "none"], "fullDocument: exact → none"],
    [["--before", "none"], "before: auto → none"],
  ] as const) {
    const { stderr } = await trial.expect(3, args);
    expect(stderr).toContain(difference);
    expect(await trial.files()).toEqual(before);
  }
  await trial.expect(0, [...CAUGHT_UP, "--full-document", "none", "--accept-change"]);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1, 2]);
});

test("B9 a collection that is no longer bound does not hide the event to resume behind", async () => {
  const { db, name } = database;
  const args = (bound: string[]): string[] => ["tail", ...bound.map((one) => `${name}.${one}`), "--allow-missing"];
  await using trial = await trialOf(database.uri, args(["kept"]));
  await trial.expect(0, [`${name}.left`, ...CAUGHT_UP]);
  await db.collection<{ _id: number }>("left").insertOne({ _id: 1 });
  await trial.expect(0, [`${name}.left`, "--limit", "1"]);
  await db.collection<{ _id: number }>("left").insertOne({ _id: 2 });
  await db.collection<{ _id: number }>("kept").insertOne({ _id: 3 });
  const saved = await trial.saved();
  await trial.expect(0, CAUGHT_UP);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1, 3]);
  // The error of the server for a token without the filter that it was made with.
  await using other = await trialOf(database.uri, args(["kept"]));
  await other.expect(0, CAUGHT_UP);
  await other.forge((mine) => {
    if (!saved.position.stream) throw new Error("no position to take the filter from");
    const { filter: _, ...stream } = saved.position.stream;
    return { ...mine, position: { ...mine.position, stream } };
  });
  const { stderr } = await other.expect(6);
  expect(stderr).toContain("server code 280");
});

test("B4 a failover to a member with a shorter oplog ends with 6, and back on the others nothing is missing", async () => {
  await using set = await startReplicaSet({ members: 3, ...SMALL_OPLOG });
  const client = await MongoClient.connect(set.uri, { writeConcern: { w: 3 } });
  const direct = await Promise.all(
    set.members.map((member) => MongoClient.connect(`mongodb://${member.address}/?directConnection=true`)),
  );
  try {
    const primary = await set.primary();
    const small = set.members.findIndex((member) => member !== primary);
    for (const [i, each] of direct.entries()) {
      if (i !== small) await each.db("admin").command({ replSetResizeOplog: 1, size: new Double(990) });
    }
    const collection = client.db("sizes").collection<{ _id: number }>("c");
    await collection.insertOne({ _id: 0 });
    await using trial = await trialOf(set.uri, ["tail", "sizes.c"]);
    await trial.expect(0, CAUGHT_UP);
    await collection.insertOne({ _id: 1 });
    const smallClient = direct[small];
    if (!smallClient) throw new Error("unreachable: a set of three has a secondary");
    await rollOplog(client, { of: smallClient });
    const other = direct.findIndex((_, i) => i !== small);
    await takeOver(set, smallClient, small);
    const before = await trial.files();
    const { stderr } = await trial.expect(6);
    expect(stderr).toContain("no longer holds the changes since");
    expect(await trial.files()).toEqual(before);
    await takeOver(set, direct[other] ?? client, other);
    await trial.expect(0, CAUGHT_UP);
    expect((await trial.lines()).map(({ _id }) => _id)).toEqual([1]);
  } finally {
    await Promise.all([client, ...direct].map((each) => each.close()));
  }
});

/** Makes this member primary; another may still be busy with stepping down. */
async function takeOver(set: ReplicaSet, member: MongoClient, index: number): Promise<void> {
  await waitFor(
    async () => {
      await member
        .db("admin")
        .command({ replSetStepUp: 1 })
        .catch(() => undefined);
      return (await set.primary()) === set.members[index];
    },
    { what: "a member to take over", timeoutMs: 40_000, everyMs: 200 },
  );
}
