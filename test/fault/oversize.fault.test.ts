/** Faults E12–E14 of docs/reliability.md: events that no server can send, passed over on demand. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { BSON, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import { must } from "../../src/errors.ts";
import { linesIn } from "../cli/tap.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";

const MB = 1024 * 1024;
const LARGE = 9 * MB;
const VERSIONS = ["6.0.5", "6.0.27"] as const;

interface Doc {
  readonly _id: number | string;
  readonly v?: number;
  readonly text?: string;
}

const sets = new Map<string, { set: ReplicaSet; client: MongoClient }>();
let dir: TempDir;

beforeAll(async () => {
  dir = await tempDir();
  for (const version of VERSIONS) {
    const set = await startReplicaSet({ members: 1, version, cacheGB: 0.5 });
    sets.set(version, { set, client: await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } }) });
  }
});

afterAll(async () => {
  for (const { set, client } of sets.values()) {
    await client.close();
    await set[Symbol.asyncDispose]();
  }
  await dir[Symbol.asyncDispose]();
});

interface Scene {
  readonly trial: Trial;
  /** The ids of the lines that must come. */
  readonly expected: readonly (number | string)[];
}

/** A caught-up tail; then, among 600 small ones, two updates whose images make events above 16 MB. */
async function updatesOf(db: string, bound: string, more: readonly string[] = []): Promise<Scene> {
  const { set, client } = must(sets.get("6.0.5"), "the set");
  const images = { changeStreamPreAndPostImages: { enabled: true } };
  const collection = await client.db(db).createCollection<Doc>("c", images);
  await client.db(db).createCollection("other");
  await collection.insertMany([1, 2].map((_id) => ({ _id, v: 0, text: "x".repeat(LARGE) })));
  const trial = await trialOf(set.uri, ["tail", bound, ...more]);
  await trial.expect(0, CAUGHT_UP);
  const small = Array.from({ length: 600 }, (_, i) => ({ _id: 1_000 + i }));
  await collection.insertMany(small.slice(0, 200));
  await collection.updateOne({ _id: 1 }, { $set: { v: 1 } });
  await collection.insertMany(small.slice(200, 400));
  await collection.updateOne({ _id: 2 }, { $set: { v: 2 } });
  await collection.insertMany(small.slice(400));
  return { trial, expected: small.map(({ _id }) => _id) };
}

async function idsOf(trial: Trial): Promise<unknown[]> {
  return (await trial.lines()).map(({ _id }) => _id);
}

test("E12 events above 16 MB that the server cannot split are passed over with --on-bad-document skip: each is named, counted, and nothing else is missing", async () => {
  for (const [db, bound] of [
    ["named", "named.c"],
    ["whole", "whole"],
  ] as const) {
    const { trial, expected } = await updatesOf(db, bound, ["--on-bad-document", "skip"]);
    await using _trial = trial;
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(await idsOf(trial)).toEqual([...expected]);
    for (const id of [1, 2])
      expect(stderr).toMatch(
        new RegExp(`${db}\\.c: the update of \\{"_id":${id}\\} at .*Z is above 16 MB: passed over`),
      );
    expect(stderr).toContain("2 documents that cannot be carried: left out");
    // The position is behind them.
    expect((await trial.expect(0, CAUGHT_UP)).stderr).not.toContain("16 MB");
    expect(await idsOf(trial)).toEqual([...expected]);
  }
});

test("E12 with --on-bad-document quarantine=FILE each has a line there, once, and the key and token of the event in it", async () => {
  const file = dir.join("aside");
  const { trial, expected } = await updatesOf("aside", "aside.c", ["--on-bad-document", `quarantine=${file}`]);
  await using _trial = trial;
  await trial.expect(0, CAUGHT_UP);
  await trial.expect(0, CAUGHT_UP);
  expect(await idsOf(trial)).toEqual([...expected]);
  const lines = (await linesIn(file)) as unknown as { namespace: string; kind: string; bson: string }[];
  expect(lines.map(({ namespace, kind }) => [namespace, kind])).toEqual([
    ["aside.c", "event"],
    ["aside.c", "event"],
  ]);
  const events = lines.map(({ bson }) => BSON.deserialize(Buffer.from(bson, "base64")));
  expect(events.map(({ documentKey }) => documentKey as unknown)).toEqual([{ _id: 1 }, { _id: 2 }]);
  for (const event of events)
    expect(event).toMatchObject({ operationType: "update", _id: { _data: expect.any(String) } });
});

test("E13 without the option the run ends with 9 at every try, behind what comes before the event, and names it and the option", async () => {
  const { trial, expected } = await updatesOf("failing", "failing.c");
  await using _trial = trial;
  for (let run = 0; run < 2; run += 1) {
    const { stderr } = await trial.expect(9, CAUGHT_UP);
    expect(stderr).toContain('failing.c: the update of {"_id":1}');
    expect(stderr).toContain("10334");
    expect(stderr).toContain("--on-bad-document skip");
    expect(await idsOf(trial)).toEqual(expected.slice(0, 200));
  }
  await trial.expect(0, [...CAUGHT_UP, "--on-bad-document", "skip"]);
  expect(await idsOf(trial)).toEqual([...expected]);
});

test.each([...VERSIONS])(
  "E14 changes of documents with keys of 3 to 7 MB are passed over on %s, which no server can send",
  async (version) => {
    const { set, client } = must(sets.get(version), "the set");
    const collection = client.db("keys").collection<Doc>("c");
    await collection.insertOne({ _id: 0 });
    const trial = await trialOf(set.uri, ["tail", "keys.c", "--on-bad-document", "skip"]);
    await using _trial = trial;
    await trial.expect(0, CAUGHT_UP);
    const expected: number[] = [];
    for (const [i, size] of [3 * MB, 5 * MB, 5.1 * MB, 7 * MB].entries()) {
      const key = String(i) + "k".repeat(size);
      await collection.insertOne({ _id: 2 * i + 1 });
      // One directly behind the other.
      await collection.insertOne({ _id: key });
      await collection.deleteOne({ _id: key });
      await collection.insertOne({ _id: 2 * i + 2 });
      expected.push(2 * i + 1, 2 * i + 2);
    }
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(
      stderr.match(/a document with a large key|a document with a key above 4 MB/g)?.length,
    ).toBeGreaterThanOrEqual(7);
    expect(stderr).toMatch(/\d documents that cannot be carried: left out/);
    await collection.insertOne({ _id: 99 });
    expect((await trial.expect(0, CAUGHT_UP)).stderr).not.toContain("16 MB");
    expect((await idsOf(trial)).at(-1)).toBe(99);
  },
);

test("E12 a capture passes over them too, and the copy beside it is whole", async () => {
  const { set, client } = must(sets.get("6.0.5"), "the set");
  const images = { changeStreamPreAndPostImages: { enabled: true } };
  const collection = await client.db("both").createCollection<Doc>("c", images);
  await collection.insertOne({ _id: 1, v: 0, text: "x".repeat(LARGE) });
  await using trial = await trialOf(set.uri, ["capture", "both.c", "--on-bad-document", "skip"]);
  await trial.expect(0, CAUGHT_UP);
  await collection.updateOne({ _id: 1 }, { $set: { v: 1 } });
  await collection.insertOne({ _id: 2 });
  const { stderr } = await trial.expect(0, CAUGHT_UP);
  expect(stderr).toContain('both.c: the update of {"_id":1}');
  expect(await idsOf(trial)).toEqual([1, 2]);
});

test("E14 a collection that is dropped behind such a document ends the run that names it", async () => {
  const { set, client } = must(sets.get("6.0.5"), "the set");
  const collection = client.db("dropped").collection<Doc>("c");
  await collection.insertOne({ _id: 0 });
  await using trial = await trialOf(set.uri, ["tail", "dropped.c", "--on-bad-document", "skip"]);
  await trial.expect(0, CAUGHT_UP);
  await collection.insertOne({ _id: "k".repeat(7 * MB) });
  await collection.drop();
  const { stderr } = await trial.expect(7, CAUGHT_UP);
  expect(stderr).toContain("the collection dropped.c was dropped");
});

test.each([...VERSIONS])(
  "E14 too large keys one behind the other are passed over on %s one by one, and nothing between or behind them",
  async (version) => {
    const { set, client } = must(sets.get(version), "the set");
    const collection = client.db("row").collection<Doc>("c");
    await collection.insertOne({ _id: 0 });
    await using trial = await trialOf(set.uri, ["tail", "row.c", "--on-bad-document", "skip"]);
    await trial.expect(0, CAUGHT_UP);
    const keys = [5 * MB, 5.1 * MB].map((size, i) => String(i) + "k".repeat(size));
    await collection.insertOne({ _id: 1 });
    for (const key of keys) await collection.insertOne({ _id: key });
    for (const key of keys) await collection.deleteOne({ _id: key });
    await collection.insertOne({ _id: 2 });
    for (const key of keys) {
      await collection.insertOne({ _id: key });
      await collection.deleteOne({ _id: key });
    }
    await collection.insertOne({ _id: 3 });
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    const ids = await idsOf(trial);
    expect(ids.filter((id) => typeof id === "number")).toEqual([1, 2, 3]);
    // Whether the server can send a delete depends on what else is in its reply. Each has a line, or is passed over.
    const passed = Number(/(\d) documents that cannot be carried: left out/.exec(stderr)?.[1]);
    expect(passed + ids.filter((id) => typeof id === "string").length).toBe(8);
  },
);

test("E12 two events above 16 MB in one transaction are passed over, and what the transaction holds beside them comes", async () => {
  const { set, client } = must(sets.get("6.0.5"), "the set");
  const images = { changeStreamPreAndPostImages: { enabled: true } };
  const collection = await client.db("together").createCollection<Doc>("c", images);
  await collection.insertMany([1, 2].map((_id) => ({ _id, v: 0, text: "x".repeat(LARGE) })));
  await using trial = await trialOf(set.uri, ["tail", "together.c", "--on-bad-document", "skip"]);
  await trial.expect(0, CAUGHT_UP);
  await client.withSession(async (session) =>
    session.withTransaction(async () => {
      for (const _id of [1, 2]) {
        await collection.insertOne({ _id: 10 * _id }, { session });
        await collection.updateOne({ _id }, { $set: { v: _id } }, { session });
      }
      await collection.insertOne({ _id: 30 }, { session });
    }),
  );
  await collection.insertOne({ _id: 40 });
  const { stderr } = await trial.expect(0, CAUGHT_UP);
  expect(await idsOf(trial)).toEqual([10, 20, 30, 40]);
  expect(stderr).toContain("2 documents that cannot be carried: left out");
  const orders = (await trial.lines()).map(({ _meta }) => _meta?.order ?? "");
  expect(orders).toEqual([...new Set(orders)].toSorted());
});

test("E14 two too large keys in one transaction are passed over, and what the transaction holds beside them comes", async () => {
  const { set, client } = must(sets.get("6.0.5"), "the set");
  const collection = client.db("pair").collection<Doc>("c");
  await collection.insertOne({ _id: 0 });
  await using trial = await trialOf(set.uri, ["tail", "pair.c", "--on-bad-document", "skip"]);
  await trial.expect(0, CAUGHT_UP);
  await client.withSession(async (session) =>
    session.withTransaction(async () => {
      for (const i of [1, 2]) {
        await collection.insertOne({ _id: i }, { session });
        await collection.insertOne({ _id: String(i) + "k".repeat(5 * MB) }, { session });
      }
      await collection.insertOne({ _id: 3 }, { session });
    }),
  );
  await collection.insertOne({ _id: 4 });
  const { stderr } = await trial.expect(0, CAUGHT_UP);
  expect(await idsOf(trial)).toEqual([1, 2, 3, 4]);
  expect(stderr).toMatch(/above 16 MB: passed over/);
  expect((await trial.expect(0, CAUGHT_UP)).stderr).not.toContain("16 MB");
});
