/** Faults C5, C6 of docs/reliability.md: images of documents that are required and no longer there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Collection, type Db, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import { differencesOf } from "./support/fold.ts";
import { waitFor } from "../support/wait.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

let set: ReplicaSet;
let client: MongoClient;
let databases = 0;

beforeAll(async () => {
  // Servers before 6.0 keep none.
  const isOld = process.env["MONGOTAP_MONGOD_VERSION"]?.startsWith("5.") === true;
  const parameters = { expiredChangeStreamPreImageRemovalJobSleepSecs: "1" };
  set = await startReplicaSet({ members: 1, parameters, ...(isOld ? { version: "6.0.27" } : {}) });
  client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
});

afterAll(async () => {
  await client.close();
  await set.stop();
});

interface Numbered {
  readonly _id: number;
  readonly v?: number;
}

function newDatabase(): Db {
  databases += 1;
  return client.db(`images${databases}`);
}

async function withImages(db: Db): Promise<void> {
  await db.createCollection("a", { changeStreamPreAndPostImages: { enabled: true } });
  await db.collection<Numbered>("a").insertOne({ _id: 1 });
}
const image = ["--full-document", "image"];

test("C5 images switched off while required end with 9 and say what to do; the saved position is before the change", async () => {
  const db = newDatabase();
  await withImages(db);
  await using trial = await trialOf(set.uri, ["tail", `${db.databaseName}.a`, ...image]);
  await trial.expect(0, CAUGHT_UP);
  const saved = await trial.saved();
  await db.collection<Numbered>("a").updateOne({ _id: 1 }, { $set: { v: 1 } });
  await db.command({ collMod: "a", changeStreamPreAndPostImages: { enabled: false } });
  await db.collection<Numbered>("a").updateOne({ _id: 1 }, { $set: { v: 2 } });
  for (let run = 0; run < 2; run += 1)
    expect((await trial.expect(9, CAUGHT_UP)).stderr).toContain("--full-document exact");
  await using remedied = await trialOf(set.uri, ["tail", `${db.databaseName}.a`]);
  await remedied.expect(0, CAUGHT_UP);
  await remedied.forge((mine) => ({ ...mine, position: saved.position }));
  await remedied.expect(0, CAUGHT_UP);
  expect((await remedied.lines()).map(({ _id }) => _id)).toEqual([1, 1]);
});

test("C6 images that expired between runs end with 9 if required, and make no difference otherwise", async () => {
  const db = newDatabase();
  await withImages(db);
  const expire = (seconds: number | "off"): Promise<unknown> =>
    client.db("admin").command({
      setClusterParameter: { changeStreamOptions: { preAndPostImages: { expireAfterSeconds: seconds } } },
    });
  await using required = await trialOf(set.uri, ["tail", `${db.databaseName}.a`, ...image]);
  await using available = await trialOf(set.uri, ["tail", `${db.databaseName}.a`]);
  for (const trial of [required, available]) await trial.expect(0, CAUGHT_UP);
  await expire(1);
  try {
    await db.collection<Numbered>("a").updateOne({ _id: 1 }, { $set: { v: 1 } });
    await db.collection<Numbered>("a").deleteOne({ _id: 1 });
    await Bun.sleep(6_000);
    expect((await required.expect(9, CAUGHT_UP)).stderr).toMatch(/image/);
    expect((await available.expect(0, CAUGHT_UP)).stderr).not.toContain("without a document");
    expect((await available.lines()).map(({ _meta, v }) => [_meta?.op, v])).toEqual([
      ["u", 1],
      ["d", undefined],
    ]);
  } finally {
    await expire("off");
  }
});

describe("C6 an update without an image has its document all the same", () => {
  const IMAGES = { changeStreamPreAndPostImages: { enabled: true } };
  const keepImages = async (db: Db, enabled: boolean): Promise<unknown> =>
    await db.command({ collMod: "a", changeStreamPreAndPostImages: { enabled } });
  const update = async (collection: Collection<Numbered>): Promise<unknown> =>
    await collection.updateMany({}, { $inc: { v: 1 } });

  test.each<[string, object, (db: Db, a: Collection<Numbered>) => Promise<unknown>]>([
    [
      "images were switched off",
      IMAGES,
      async (db, a) => {
        await update(a);
        await keepImages(db, false);
        return await update(a);
      },
    ],
    [
      "images were switched on",
      {},
      async (db, a) => {
        await update(a);
        await keepImages(db, true);
        return await update(a);
      },
    ],
    [
      "a new collection keeps none, in a database where all others do",
      IMAGES,
      async (db, a) => {
        const late = db.collection<Numbered>("late");
        await late.insertMany([1, 2].map((_id) => ({ _id, v: 0 })));
        await update(late);
        return await update(a);
      },
    ],
    [
      "the collection was dropped, and made again without images",
      IMAGES,
      async (db, a) => {
        await update(a);
        await a.drop();
        await a.insertMany([1, 2].map((_id) => ({ _id, v: 0 })));
        await update(a);
        return await update(db.collection("a"));
      },
    ],
  ])("%s", async (_, options, change) => {
    const db = newDatabase();
    const a = await db.createCollection<Numbered>("a", options);
    await a.insertMany([1, 2].map((_id) => ({ _id, v: 0 })));
    await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
    await trial.expect(0, CAUGHT_UP);
    await change(db, a);
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(await differencesOf(await trial.lines(), [db])).toEqual([]);
    // And in a run that goes on over the change.
    {
      await using capture = trial.start();
      const before = (await trial.lines()).length;
      await update(a);
      await trial.waitForLines(before + 2);
      await change(db, a).catch(() => undefined); // the keys of the other collection are there
      await update(a);
      await waitFor(async () => (await differencesOf(await trial.lines(), [db])).length === 0, { what: "the updates" });
      capture.kill("SIGTERM");
      expect((await capture.done).code).toBe(0);
    }
    if (!stderr.includes("dropped")) expect(stderr).not.toContain("without a document");
  });
});
