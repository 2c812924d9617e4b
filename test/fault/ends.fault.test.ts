/** Faults C11 and C12 of docs/reliability.md: a collection ends, the output says so, and the run goes on. */
import { describe, expect, test } from "bun:test";
import type { Db } from "mongodb";
import { waitFor } from "../support/wait.ts";
import { endsOf, expectTrue, insert, out, sorted, swap, TEMPORARY } from "./support/ends.ts";
import { differencesOf } from "./support/fold.ts";
import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

const { set, client, newDatabase } = await ownReplicaSet("ends");

describe("C11 in a database that is bound as a whole the output is what the database holds, and the run goes on, when a collection is", () => {
  const WAYS: readonly (readonly [what: string, change: (db: Db) => Promise<unknown>, ends: readonly string[]])[] = [
    ["dropped", (db) => db.collection("a").drop(), ["a dropped"]],
    [
      "dropped and created again",
      async (db) => {
        await db.collection("a").drop();
        await insert(db, "a", [1], 2);
      },
      ["a dropped"],
    ],
    ["written anew by $out", (db) => out(db, "b", "a"), ["a replaced"]],
    [
      "swapped by two renames",
      async (db) => {
        await insert(db, "a_new", [2, 3], 2);
        await swap(db, "a_new", "a");
      },
      ["a renamed", "a_old replaced", "a_new renamed", "a replaced"],
    ],
    [
      "renamed over by one of another database",
      async (db) => {
        const other = newDatabase();
        await insert(other, "x", [7]);
        const to = `${db.databaseName}.a`;
        await client.db("admin").command({ renameCollection: `${other.databaseName}.x`, to, dropTarget: true });
      },
      ["a replaced"],
    ],
    [
      "renamed to another database",
      async (db) => {
        const to = `${newDatabase().databaseName}.x`;
        await client.db("admin").command({ renameCollection: `${db.databaseName}.a`, to });
      },
      ["a dropped"],
    ],
    ["made capped", (db) => db.command({ convertToCapped: "a", size: 1 << 20 }), ["a replaced"]],
    [
      "dropped with its database, which is created again",
      async (db) => {
        await db.dropDatabase();
        await insert(db, "a", [1], 2);
      },
      ["a dropped", "b dropped"],
    ],
  ];

  test.each(WAYS)("%s, while no run reads it", async (_, change, ends) => {
    const db = newDatabase();
    await insert(db, "a", [1, 2, 3]);
    await insert(db, "b", [1, 2]);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
    await trial.expect(0, CAUGHT_UP);
    await change(db);
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    const lines = await expectTrue(trial, [db]);
    expect(sorted(endsOf(lines))).toEqual(sorted(ends));
    for (const end of ends) expect(stderr).toContain(`${db.databaseName}.${end.replace(" ", " was ")}`);
    expect(stderr).not.toMatch(TEMPORARY);
    await trial.expect(0, CAUGHT_UP);
    expect(await trial.lines()).toEqual(lines);
  });

  // The copied documents of a capped collection are in no certain order.
  test.each(WAYS.filter(([what]) => what !== "made capped"))(
    "%s, while a run follows it, and changed behind that",
    async (_, change, ends) => {
      const db = newDatabase();
      await insert(db, "a", [1, 2, 3]);
      await insert(db, "b", [1, 2]);
      await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
      await using capture = trial.start();
      await trial.waitForLines(5);
      await change(db);
      await insert(db, "a", [50]);
      await insert(db, "b", [51]);
      const wanted = [`${db.databaseName}.a 50`, `${db.databaseName}.b 51`];
      await waitFor(async () => (await differencesOf(await trial.lines(), [db])).length === 0, {
        what: `the output to hold ${wanted.join(" and ")}`,
        timeoutMs: 30_000,
      });
      capture.kill("SIGTERM");
      expect((await capture.done).code).toBe(0);
      expect(sorted(endsOf(await expectTrue(trial, [db])))).toEqual(sorted(ends));
    },
  );

  test("renamed to a name that is excluded", async () => {
    const db = newDatabase();
    await insert(db, "a", [1, 2]);
    const hidden = `${db.databaseName}.hidden`;
    await using trial = await trialOf(set.uri, ["capture", db.databaseName, "--exclude", hidden]);
    await trial.expect(0, CAUGHT_UP);
    await db.collection("a").rename("hidden");
    await trial.expect(0, CAUGHT_UP);
    expect(endsOf(await expectTrue(trial, [db], [hidden]))).toEqual(["a renamed"]);
  });
});

test("C11 a run that names a collection ends with 7 behind the line of its end; one beside it that is bound with its database does not", async () => {
  const [whole, named] = [newDatabase(), newDatabase()];
  for (const db of [whole, named]) for (const name of ["a", "b"]) await insert(db, name, [1, 2]);
  await using trial = await trialOf(set.uri, ["capture", whole.databaseName, `${named.databaseName}.a`]);
  const unread = [`${named.databaseName}.b`];
  await trial.expect(0, CAUGHT_UP);
  await whole.collection("b").drop();
  await out(whole, "a", "c");
  await trial.expect(0, CAUGHT_UP);
  await expectTrue(trial, [whole, named], unread);
  await out(named, "b", "a");
  await whole.collection("a").drop();
  await trial.expect(7, CAUGHT_UP);
  expect(endsOf(await trial.lines())).toEqual(["b dropped", "c replaced", "a replaced"]);
  await trial.expect(0, CAUGHT_UP);
  await expectTrue(trial, [whole, named], unread);
});

test("C12 a position behind a dropped database is one for a run of that database, and of more databases", async () => {
  for (const more of [false, true]) {
    const [db, other] = [newDatabase(), newDatabase()];
    await insert(db, "a", [1, 2]);
    await insert(other, "z", [1]);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
    await trial.expect(0, CAUGHT_UP);
    await db.dropDatabase();
    await trial.expect(0, CAUGHT_UP);
    await insert(db, "a", [2], 2);
    await trial.expect(0, [...(more ? [other.databaseName] : []), ...CAUGHT_UP]);
    await expectTrue(trial, more ? [db, other] : [db]);
  }
});

describe("C12 in a database that is bound as a whole a collection that was to be copied, and then is", () => {
  const WAYS: readonly (readonly [what: string, change: (db: Db) => Promise<unknown>])[] = [
    ["dropped", (db) => db.collection("b").drop()],
    [
      "dropped and created again",
      async (db) => {
        await db.collection("b").drop();
        await insert(db, "b", [7], 2);
      },
    ],
    [
      "a view",
      async (db) => {
        await db.collection("b").drop();
        await db.createCollection("b", { viewOn: "a", pipeline: [] });
      },
    ],
  ];

  test.each(WAYS)("%s, ends nothing: its end is a line, before what has its name", async (what, change) => {
    const db = newDatabase();
    await insert(
      db,
      "a",
      Array.from({ length: 5_000 }, (_, i) => i),
    );
    await insert(db, "b", [1, 2]);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
    await using capture = trial.start(["--rate-limit", "100KB"]);
    await trial.waitForLines(1);
    await change(db);
    await trial.waitForSaved(
      ({ position }) => position.collections[`${db.databaseName}.a`]?.phase === "live",
      "the copy of the other collection",
    );
    await insert(db, "c", [1]);
    const except = what === "a view" ? [`${db.databaseName}.b`] : [];
    await waitFor(async () => (await differencesOf(await trial.lines(), [db], except)).length === 0, {
      what: "the output to hold what the database holds",
      timeoutMs: 30_000,
    });
    capture.kill("SIGTERM");
    expect((await capture.done).code).toBe(0);
    expect(endsOf(await expectTrue(trial, [db], except))).toEqual(["b dropped"]);
  });
});
