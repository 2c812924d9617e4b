/** Faults C1–C4, C7, C8, C10 of docs/reliability.md: collections that are dropped, renamed, replaced and changed while they are watched. */
import { describe, expect, test } from "bun:test";
import type { Db } from "mongodb";
import type { Line } from "../cli/tap.ts";
import { orderFaultsOf } from "./support/oracle.ts";
import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";

const { set, client, newDatabase } = await ownReplicaSet("ddl");

interface Numbered {
  readonly _id: number;
  readonly v?: number;
}

async function insert(db: Db, collection: string, ...ids: number[]): Promise<void> {
  await db.collection<Numbered>(collection).insertMany(ids.map((_id) => ({ _id })));
}

function shown(lines: readonly Line[]): unknown[] {
  return lines.map(({ _id, _meta }) =>
    _meta?.op === "t"
      ? `${_meta.source.collection} ${_meta.reason}`
      : `${_meta?.source.collection} ${String(_id)} ${_meta?.snapshot ? "row" : _meta?.op}`,
  );
}

/** A capture that has copied `a` with its documents 1 and 2. */
async function capturedOf(db: Db, ...what: string[]): Promise<Trial> {
  await insert(db, "a", 1, 2);
  const trial = await trialOf(set.uri, ["capture", ...what]);
  await trial.expect(0, CAUGHT_UP);
  expect(shown(await trial.lines())).toEqual(["a 1 row", "a 2 row"]);
  return trial;
}

test("C1 a collection bound by its name that is dropped ends the run with 7; the next goes on with what comes after", async () => {
  const db = newDatabase();
  await using trial = await capturedOf(db, `${db.databaseName}.a`);
  await using capture = trial.start();
  await insert(db, "a", 3);
  await trial.waitForLines(3);
  await db.collection("a").drop();
  const { code, stderr } = await capture.done;
  expect([code, stderr]).toEqual([7, expect.stringContaining(`the collection ${db.databaseName}.a was dropped`)]);
  await trial.expect(0, CAUGHT_UP);
  await insert(db, "a", 1, 4);
  await trial.expect(0, CAUGHT_UP);
  expect(shown(await trial.lines())).toEqual(["a 1 row", "a 2 row", "a 3 c", "a dropped", "a 1 c", "a 4 c"]);
});

test("C1 in a database or a cluster that is bound as a whole a drop is no end, and costs no processor time", async () => {
  const db = newDatabase();
  const other = newDatabase();
  await insert(other, "a", 1);
  for (const scope of [[db.databaseName], [db.databaseName, other.databaseName]]) {
    await insert(db, "a", 1, 2);
    await using trial = await trialOf(set.uri, ["tail", ...scope]);
    await using tail = trial.start();
    await trial.waitForSaved(() => true, "the first position");
    await db.collection("a").drop();
    await insert(db, "a", 3);
    await trial.waitForLines(2);
    const before = await ticksOf(tail.pid);
    await Bun.sleep(3_000);
    expect((await ticksOf(tail.pid)) - before).toBeLessThan(15 + 10);
    tail.kill("SIGTERM");
    expect((await tail.done).code).toBe(0);
    await db.collection("a").drop();
  }
});

/** Hundredths of a second of processor time. */
async function ticksOf(pid: number): Promise<number> {
  const stat = await Bun.file(`/proc/${pid}/stat`).text();
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

test("C2 dropped and recreated three times between runs: every change once, one run for each drop", async () => {
  const db = newDatabase();
  await using trial = await capturedOf(db, `${db.databaseName}.a`);
  for (let round = 1; round <= 3; round += 1) {
    await insert(db, "a", 10 * round);
    await db.collection("a").drop();
    await insert(db, "a", 10 * round + 1);
  }
  for (let round = 1; round <= 3; round += 1) await trial.expect(7, CAUGHT_UP);
  await trial.expect(0, CAUGHT_UP);
  const rounds = [10, 20, 30].map((n) => [`a ${n} c`, "a dropped", `a ${n + 1} c`]);
  expect(shown((await trial.lines()).slice(2))).toEqual(rounds.flat());
  expect(orderFaultsOf(await trial.lines())).toEqual([]);
});

test("C2 dropped, and more or fewer namespaces from then on: nothing is written twice or left out", async () => {
  const db = newDatabase();
  await insert(db, "b", 5);
  await using trial = await capturedOf(db, `${db.databaseName}.a`);
  const both = [`${db.databaseName}.b`, ...CAUGHT_UP];
  await db.collection("a").drop();
  await trial.expect(7, CAUGHT_UP);
  await insert(db, "a", 3);
  await trial.expect(0, both);
  await insert(db, "b", 6);
  await db.collection("a").drop();
  await trial.expect(7, both);
  await insert(db, "a", 4);
  await insert(db, "b", 7);
  await trial.expect(0, CAUGHT_UP);
  await insert(db, "a", 8);
  await trial.expect(0, CAUGHT_UP);
  const lines = ["a dropped", "a 3 c", "b 5 row", "b 6 c", "a dropped", "a 4 c", "a 8 c"];
  expect(shown((await trial.lines()).slice(2))).toEqual(lines);
});

test("C2 recreated and empty before it was copied: the stream reports the drop, and the run continues", async () => {
  const db = newDatabase();
  await insert(db, "a", 1, 2, 3);
  await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
  await trial.expect(12, [...CAUGHT_UP, "--limit", "1"]);
  await db.collection("a").drop();
  await db.createCollection("a");
  await trial.expect(0, CAUGHT_UP);
  await insert(db, "a", 4);
  await trial.expect(0, CAUGHT_UP);
  expect(shown(await trial.lines())).toEqual(["a 1 row", "a dropped", "a 4 c"]);
});

test("C2 recreated before it was copied: the copy, or the stream, is of the new one, never half of each", async () => {
  for (const how of ["database", "collection"] as const) {
    const db = newDatabase();
    const name = how === "database" ? db.databaseName : `${db.databaseName}.a`;
    await insert(db, "a", ...Array.from({ length: 20 }, (_, i) => i));
    await using trial = await trialOf(set.uri, ["capture", name]);
    await trial.expect(12, [...CAUGHT_UP, "--limit", "5"]);
    await db.collection("a").drop();
    await insert(db, "a", 7, 100);
    if (how === "collection") await trial.expect(7, CAUGHT_UP);
    await trial.expect(0, CAUGHT_UP);
    const lines = await trial.lines();
    expect(shown(lines)).toEqual([...[0, 1, 2, 3, 4].map((i) => `a ${i} row`), "a dropped", "a 7 c", "a 100 c"]);
  }
});

describe("C3 renaming", () => {
  test("away ends a run that is bound by name with 7, and the new name is not followed", async () => {
    const db = newDatabase();
    await using trial = await capturedOf(db, `${db.databaseName}.a`);
    await db.collection("a").rename("b");
    await insert(db, "b", 3);
    expect((await trial.expect(7, CAUGHT_UP)).stderr).toContain(`was renamed to ${db.databaseName}.b`);
    await trial.expect(0, CAUGHT_UP);
    const [end] = (await trial.lines()).slice(2);
    expect(end?._meta).toMatchObject({ reason: "renamed", to: { db: db.databaseName, collection: "b" } });
    expect(await trial.lines()).toHaveLength(3);
  });

  test("over a collection ends with 7, and the next run copies what is there now", async () => {
    const db = newDatabase();
    await using trial = await capturedOf(db, `${db.databaseName}.a`);
    await insert(db, "next", 1, 8, 9);
    await db.collection("next").rename("a", { dropTarget: true });
    await insert(db, "a", 10);
    expect((await trial.expect(7, CAUGHT_UP)).stderr).toContain(`was replaced by renaming ${db.databaseName}.next`);
    await trial.expect(0, CAUGHT_UP);
    // Changes after the rename are written as well.
    const lines = shown((await trial.lines()).slice(2));
    const rows = ["a 1 row", "a 8 row", "a 9 row", "a 10 row"];
    expect(lines.filter((line) => line !== "a 10 c")).toEqual(["a replaced", ...rows]);
    await db
      .collection("a")
      .aggregate([{ $match: { _id: 8 } }, { $out: "a" }])
      .toArray();
    await trial.expect(7, CAUGHT_UP);
    await trial.expect(0, CAUGHT_UP);
    expect(shown(await trial.lines()).slice(lines.length + 2)).toEqual(["a replaced", "a 8 row"]);
    expect((await trial.lines()).at(-1)?._meta?.copy).toBe(3);
  });

  test("within a database that is bound as a whole loses no document: what has a new name is copied under it, at once", async () => {
    const db = newDatabase();
    await using trial = await capturedOf(db, db.databaseName);
    await db.collection("a").rename("b");
    await insert(db, "b", 3);
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(stderr).toContain(`${db.databaseName}.a was renamed to ${db.databaseName}.b`);
    expect(stderr).toContain(`${db.databaseName}.b was replaced: ${db.databaseName}.a was renamed to its name`);
    const copied = new Set(shown((await trial.lines()).slice(2)));
    for (const line of ["b 1 row", "b 2 row", "b 3 row"]) expect(copied).toContain(line);
    expect(orderFaultsOf(await trial.lines())).toEqual([]);
    // Over one that is known; and a tail, which copies nothing.
    await using tail = await trialOf(set.uri, ["tail", db.databaseName]);
    await tail.expect(0, CAUGHT_UP);
    await insert(db, "c", 5);
    await db.collection("c").rename("b", { dropTarget: true });
    await trial.expect(0, CAUGHT_UP);
    expect(shown(await trial.lines())).toContain("b 5 row");
    expect((await tail.expect(0, CAUGHT_UP)).stderr).toContain("the changes do not contain the documents");
    expect(shown(await tail.lines())).toEqual(["c 5 c", "c renamed", "b replaced"]);
  });

  test("to another database writes the changes of bound collections, and of no other", async () => {
    const db = newDatabase();
    const other = newDatabase();
    await insert(other, "x", 1);
    await using trial = await capturedOf(db, `${db.databaseName}.a`);
    const command = { renameCollection: `${other.databaseName}.x`, to: `${db.databaseName}.a`, dropTarget: true };
    await client.db("admin").command(command);
    await trial.expect(7, CAUGHT_UP);
    await trial.expect(0, CAUGHT_UP);
    expect(shown((await trial.lines()).slice(2))).toEqual(["a replaced", "a 1 row"]);
  });
});

test("C4 a dropped database ends a run that names a collection of it with 7, and no other; either way all that follows comes", async () => {
  for (const command of ["tail", "capture"]) {
    for (const scope of ["db", "coll"]) {
      const db = newDatabase();
      await insert(db, "a", 1);
      const name = scope === "db" ? db.databaseName : `${db.databaseName}.a`;
      await using trial = await trialOf(set.uri, [command, name]);
      await trial.expect(0, CAUGHT_UP);
      await db.dropDatabase();
      expect((await trial.expect(scope === "db" ? 0 : 7, CAUGHT_UP)).stderr).toContain(
        `${db.databaseName}.a was dropped`,
      );
      // No position is behind an invalidate: a stream of a wider scope could not begin there.
      const { stream } = (await trial.saved()).position;
      expect(stream?.resume).toBe("resumeAfter");
      await insert(db, "a", 2);
      await trial.expect(0, CAUGHT_UP);
      const rows = command === "capture" ? ["a 1 row"] : [];
      expect(shown(await trial.lines())).toEqual([...rows, "a dropped", "a 2 c"]);
    }
  }
});

test("C7 indexes, collMod, views and time series made during a run do not disturb it", async () => {
  const db = newDatabase();
  await using trial = await capturedOf(db, db.databaseName);
  await db.collection("a").createIndex({ v: 1 });
  await db.command({ collMod: "a", validator: { _id: { $exists: true } } });
  await db.createCollection("view", { viewOn: "a", pipeline: [] });
  await db.createCollection("series", { timeseries: { timeField: "t" } });
  await db.collection("series").insertOne({ t: new Date() });
  await insert(db, "a", 3);
  await db.collection("a").dropIndex("v_1");
  await insert(db, "a", 4);
  for (let run = 0; run < 2; run += 1) await trial.expect(0, CAUGHT_UP);
  expect(shown((await trial.lines()).slice(2))).toEqual(["a 3 c", "a 4 c"]);
});

test("C8 what has no change stream is refused before anything is written: a view, a time series, the server's own", async () => {
  const db = newDatabase();
  await insert(db, "a", 1);
  await db.createCollection("view", { viewOn: "a", pipeline: [] });
  await db.createCollection("series", { timeseries: { timeField: "t" } });
  for (const [name, code, says] of [
    [`${db.databaseName}.view`, 10, "is a view: it has no change stream"],
    [`${db.databaseName}.series`, 10, "is a time series: it has no change stream"],
    [`${db.databaseName}.system.buckets.series`, 2, "system collections belong to the server"],
    ["admin.system.users", 2, "belongs to the server"],
    ["local.oplog.rs", 2, "belongs to the server"],
  ] as const) {
    await using trial = await trialOf(set.uri, ["capture", name]);
    expect((await trial.expect(code)).stderr).toContain(says);
    expect(await trial.files()).toEqual({ out: undefined, state: undefined });
  }
});

test("C10 a collection that becomes capped under way keeps all its documents: the copy that replaces it is copied", async () => {
  const db = newDatabase();
  await using trial = await capturedOf(db, `${db.databaseName}.a`);
  await db.command({ convertToCapped: "a", size: 1 << 20 });
  await insert(db, "a", 3);
  await trial.expect(7, CAUGHT_UP);
  await trial.expect(0, CAUGHT_UP);
  const lines = shown((await trial.lines()).slice(2));
  expect(lines.filter((line) => line !== "a 3 c")).toEqual(["a replaced", "a 1 row", "a 2 row", "a 3 row"]);
});
