/** Faults A2, A4–A6, A9, A14 of docs/reliability.md: what happens to members of a set of three. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Collection, type Db, MongoClient } from "mongodb";
import { type Member, type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import { firstDifference, type Line, linesOf, tapAt } from "../cli/tap.ts";
import { failCommand } from "../support/fail-point.ts";
import { waitFor } from "../support/wait.ts";
import { faultsOf } from "./support/oracle.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

interface Numbered {
  readonly _id: number;
  readonly v?: number;
}

let set: ReplicaSet;
let client: MongoClient;
let collections = 0;

beforeAll(async () => {
  set = await startReplicaSet({
    members: 3,
    parameters: { writePeriodicNoops: "true", periodicNoopIntervalSecs: "1" },
  });
  client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" }, serverSelectionTimeoutMS: 60_000 });
});

setDefaultTimeout(180_000);

afterAll(async () => {
  await client.close();
  await set.stop();
});

/** A server that does not answer is noticed within seconds instead of minutes. */
const IMPATIENT = "&socketTimeoutMS=4000&connectTimeoutMS=2000&heartbeatFrequencyMS=1000";

async function newCollection(): Promise<{ name: string; collection: Collection<Numbered> }> {
  collections += 1;
  const collection = client.db("set").collection<Numbered>(`c${collections}`);
  await collection.insertMany(Array.from({ length: 5 }, (_, _id) => ({ _id })));
  return { name: `set.c${collections}`, collection };
}

/** Inserts as long as it takes: while there is no primary writes fail. */
async function insertAt(collection: Collection<Numbered>, _id: number): Promise<void> {
  await waitFor(
    () =>
      collection.updateOne({ _id }, { $set: { v: _id } }, { upsert: true }).then(
        () => true,
        () => false,
      ),
    { what: "a write to be acknowledged", timeoutMs: 60_000 },
  );
}

function sorted(lines: readonly Line[]): string[] {
  return lines.map((line) => JSON.stringify(line)).toSorted((a, b) => (a < b ? -1 : 1));
}

async function secondariesOf(): Promise<Member[]> {
  const primary = await set.primary();
  return set.members.filter((member) => member !== primary);
}

test("A2 A14 a primary that is killed -9, or shut down in good order, costs a capture nothing", async () => {
  const { name, collection } = await newCollection();
  await using trial = await trialOf(set.uri, ["capture", name]);
  await using capture = trial.start();
  await trial.waitForLines(5);
  for (const [i, signal] of (["SIGKILL", "SIGTERM"] as const).entries()) {
    const primary = await set.primary();
    await insertAt(collection, 10 + 2 * i);
    await primary.kill(signal);
    // Until Bun reports the closed socket, the test's own client would write into it and wait forever.
    await Bun.sleep(300);
    await insertAt(collection, 11 + 2 * i);
    await trial.waitForLines(7 + 2 * i);
    await primary.start();
  }
  capture.kill("SIGTERM");
  const { code, stderr } = await capture.done;
  expect([code, stderr]).toEqual([0, expect.stringContaining("trying again")]);
  await trial.expect(0, CAUGHT_UP);
  expect(await faultsOf(await trial.lines(), collection as never)).toEqual([]);
});

test("A4 a primary that freezes is noticed, and what the others acknowledge from then on comes", async () => {
  const { name, collection } = await newCollection();
  await using trial = await trialOf(set.uri + IMPATIENT, ["capture", name]);
  await using capture = trial.start();
  await trial.waitForLines(5);
  const primary = await set.primary();
  primary.suspend();
  try {
    const others = set.members.filter((member) => member !== primary).map((member) => member.address);
    // A client of its own: the other one waits for the frozen server too.
    await using writer = await MongoClient.connect(`mongodb://${others.join(",")}/?replicaSet=rs${IMPATIENT}`, {
      writeConcern: { w: "majority" },
    });
    await insertAt(writer.db("set").collection<Numbered>(collection.collectionName), 10);
    await trial.waitForLines(6);
  } finally {
    primary.resume();
  }
  capture.kill("SIGTERM");
  expect((await capture.done).code).toBe(0);
  await trial.expect(0, CAUGHT_UP);
  expect(await faultsOf(await trial.lines(), collection as never)).toEqual([]);
});

test("A5 without a majority no event arrives, and no run claims to have caught up", async () => {
  const { name, collection } = await newCollection();
  await using trial = await trialOf(set.uri, ["tail", name]);
  await trial.expect(0, CAUGHT_UP);
  // The primary is kept from noticing, and stepping down, for as long as it takes.
  const frozen = await secondariesOf();
  for (const member of frozen) member.suspend();
  try {
    await collection.insertOne({ _id: 10 }, { writeConcern: { w: 1 } });
    const { code } = await trial.run([...CAUGHT_UP, "--for", "3s"], { timeoutMs: 60_000 });
    expect([4, 12]).toContain(code ?? -1);
    expect(await trial.lines()).toEqual([]);
  } finally {
    for (const member of frozen) member.resume();
  }
  await insertAt(collection, 11);
  await trial.expect(0, CAUGHT_UP);
  const left = (await collection.find({ _id: { $gte: 10 } }).toArray()).map(({ _id }) => _id);
  expect((await trial.lines()).map(({ _id }) => _id)).toEqual(left);
});

test("A6 no copy of a view or a time series, by bucket or as a whole, has what no majority has", async () => {
  const db = client.db("set");
  await db.createCollection("base");
  await db.createCollection("view", { viewOn: "base", pipeline: [] });
  await db.createCollection("series", { timeseries: { timeField: "t" } });
  const insert = async (into: Db, _id: string, w: number): Promise<void> => {
    for (const name of ["base", "series"])
      await into.collection<{ _id: string; t: Date }>(name).insertOne({ _id, t: new Date() }, { writeConcern: { w } });
  };
  await insert(db, "safe", 3);
  const primary = await set.primary();
  const secondaries = await secondariesOf();
  const direct = `mongodb://${primary.address}/?directConnection=true`;
  await using alone = await MongoClient.connect(direct);
  for (const member of secondaries) await stopReplication(member, "alwaysOn");
  try {
    await insert(alone.db("set"), "not yet", 1);
    for (const out of ["-", "file"]) {
      for (const [name, refuses] of [
        ["view", false],
        ["series", false],
        ["series", true],
      ] as const) {
        const options = { failCommands: ["aggregate"], errorCode: 13, appName: "mongotap" };
        await using _refused = refuses ? await failCommand(alone, options) : undefined;
        const args = ["backfill", `set.${name}`, "--max-lag", "0s"];
        await using copy = await trialOf(direct, args);
        const { stdout } = await (out === "-" ? tapAt(direct).expect(0, args) : copy.expect(0));
        const lines = out === "-" ? linesOf(stdout) : await copy.lines();
        expect([out, name, lines.map(({ _id }) => _id)]).toEqual([out, name, ["safe"]]);
      }
    }
  } finally {
    for (const member of secondaries) await stopReplication(member, "off");
  }
});

test("A6 writes that are rolled back never appear, in no change and no copy", async () => {
  const { name, collection } = await newCollection();
  await using trial = await trialOf(set.uri, ["capture", name]);
  await using capture = trial.start();
  await trial.waitForLines(5);
  const primary = await set.primary();
  const secondaries = await secondariesOf();
  await using alone = await MongoClient.connect(`mongodb://${primary.address}/?directConnection=true`);
  const ofAlone = alone.db("set").collection<Numbered>(collection.collectionName);
  for (const member of secondaries) await stopReplication(member, "alwaysOn");
  // Acknowledged by one member, and known to no other.
  await ofAlone.insertMany([{ _id: 10 }, { _id: 11 }], { writeConcern: { w: 1, journal: true } });
  await ofAlone.updateOne({ _id: 1 }, { $set: { v: 666 } }, { writeConcern: { w: 1, journal: true } });
  expect(await ofAlone.countDocuments({ _id: { $gte: 10 } }, { readConcern: "local" } as never)).toBe(2);
  // A copy that is made now from the very member that has them, with majority and snapshot reads only.
  await using copy = await trialOf(`mongodb://${primary.address}/?directConnection=true`, ["backfill", name]);
  await copy.expect(0, ["--envelope", "meta"]);
  expect((await copy.lines()).map(({ _id, v }) => [_id, v])).toEqual([0, 1, 2, 3, 4].map((_id) => [_id, undefined]));
  await primary.kill("SIGKILL");
  for (const member of secondaries) await stopReplication(member, "off");
  await insertAt(collection, 20);
  await primary.start();
  await waitFor(
    async () => (await ofAlone.findOne({ _id: 20 }, { readPreference: "nearest" }).catch(() => null)) !== null,
    {
      what: "the old primary to have rolled back",
      timeoutMs: 60_000,
    },
  );
  expect(await ofAlone.countDocuments({ _id: { $in: [10, 11] } })).toBe(0);
  await trial.waitForLines(6);
  capture.kill("SIGTERM");
  expect((await capture.done).code).toBe(0);
  await trial.expect(0, CAUGHT_UP);
  const lines = await trial.lines();
  expect(lines.map(({ _id, v }) => [_id, v])).toEqual([
    ...[0, 1, 2, 3, 4].map((_id) => [_id, undefined]),
    [20, 20],
  ] as never);
  expect(await faultsOf(lines, collection as never)).toEqual([]);
});

async function stopReplication(member: Member, mode: "alwaysOn" | "off"): Promise<void> {
  await using direct = await MongoClient.connect(`mongodb://${member.address}/?directConnection=true`);
  const before = await direct.db("admin").command({ configureFailPoint: "stopReplProducer", mode });
  if (mode === "off") return;
  const timesEntered = Number(before["count"]) + 1;
  await direct.db("admin").command({ waitForFailPoint: "stopReplProducer", timesEntered, maxTimeMS: 30_000 });
}

test("A9 a read preference for secondaries does not send the getMores of one cursor to several servers", async () => {
  const { name, collection } = await newCollection();
  await using trial = await trialOf(`${set.uri}&readPreference=secondary`, ["capture", name]);
  await using capture = trial.start();
  await trial.waitForLines(5);
  for (let _id = 10; _id < 30; _id += 1) {
    await insertAt(collection, _id);
    await trial.waitForLines(_id - 4);
  }
  capture.kill("SIGTERM");
  const { code, stderr } = await capture.done;
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("trying again")]);
  expect(await faultsOf(await trial.lines(), collection as never)).toEqual([]);
});

test("D16 a primary that steps down, or is killed -9, amid a view or a time series costs nothing, and repeats nothing", async () => {
  const db = client.db("whole");
  const COUNT = 3_000;
  await db
    .collection<{ _id: number }>("base")
    .insertMany(Array.from({ length: COUNT }, (_, _id) => ({ _id, text: "x".repeat(200) })));
  await db.createCollection("view", { viewOn: "base", pipeline: [{ $set: { seen: true } }] });
  await db.createCollection("series", { timeseries: { timeField: "t", metaField: "m" } });
  await db.collection("series").insertMany(
    Array.from({ length: COUNT }, (_, i) => ({
      t: new Date(1.7e12 + i * 1_000),
      m: i % 40,
      text: "x".repeat(200),
    })),
  );
  for (const name of ["view", "series"]) {
    for (const lose of ["step down", "kill"] as const) {
      await using calm = await trialOf(set.uri, ["backfill", `whole.${name}`]);
      await using trial = await trialOf(set.uri, ["backfill", `whole.${name}`]);
      await calm.expect(0);
      await using copy = trial.start(["--rate-limit", "150kB"]);
      await trial.waitForLines(300);
      const primary = await set.primary();
      if (lose === "kill") await primary.kill("SIGKILL");
      else await set.stepDown();
      const { code, stderr } = await copy.done;
      if (lose === "kill") await primary.start();
      expect([name, lose, code, stderr]).toEqual([name, lose, 0, expect.stringContaining("documents, ")]);
      expect(stderr).toContain(`${COUNT.toLocaleString("en-US")} documents`);
      // Members of a set may return the documents of a view in different orders.
      const [found, expected] = [sorted(await trial.lines()), sorted(await calm.lines())];
      expect([name, lose, firstDifference(found, expected)]).toEqual([name, lose, undefined]);
    }
  }
});
