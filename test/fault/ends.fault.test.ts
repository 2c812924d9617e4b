/** Faults C11–C18 of docs/reliability.md: what was written about a collection is void, and the output says so. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { type Db, MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import type { Checkpoint } from "../../src/state/checkpoint.ts";
import { type Line, linesIn, tapAt } from "../cli/tap.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { differencesOf } from "./support/fold.ts";
import { rollOplog, SMALL_OPLOG } from "./support/oplog.ts";
import { orderFaultsOf } from "./support/oracle.ts";
import { CAUGHT_UP, type Trial, trialOf } from "./support/trial.ts";

let set: ReplicaSet;
let client: MongoClient;
let databases = 0;

beforeAll(async () => {
  set = await startReplicaSet({ members: 1, ...SMALL_OPLOG });
  client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
});

afterAll(async () => {
  await client.close();
  await set.stop();
});

interface Numbered {
  readonly _id: number;
  readonly v: number;
}

function newDatabase(): Db {
  databases += 1;
  return client.db(`ends${databases}`);
}

async function insert(db: Db, collection: string, ids: readonly number[], v = 1): Promise<void> {
  await db.collection<Numbered>(collection).insertMany(ids.map((_id) => ({ _id, v })));
}

/** What the server calls the collections that it builds. */
const TEMPORARY = /\btmp(\.agg_out|\w{5})\./;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

async function out(db: Db, from: string, to: string, admin = db): Promise<void> {
  await db
    .collection(from)
    .aggregate([{ $out: { db: admin.databaseName, coll: to } }])
    .toArray();
}

async function swap(db: Db, fresh: string, name: string): Promise<void> {
  await db.collection(name).rename(`${name}_old`, { dropTarget: true });
  await db.collection(fresh).rename(name);
}

function endsOf(lines: readonly Line[]): unknown[] {
  return lines.flatMap(({ _meta }) => (_meta?.op === "t" ? [`${_meta.source.collection} ${_meta.reason}`] : []));
}

/** Nothing is lost, repeated, reordered or void and still there. */
async function expectTrue(trial: Trial, dbs: readonly Db[], except: readonly string[] = []): Promise<Line[]> {
  const lines = await trial.lines();
  expect(orderFaultsOf(lines)).toEqual([]);
  expect(await differencesOf(lines, dbs, except)).toEqual([]);
  return lines;
}

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
    expect(endsOf(lines).toSorted()).toEqual(ends.toSorted());
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
      expect(endsOf(await expectTrue(trial, [db])).toSorted()).toEqual(ends.toSorted());
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

test("C13 a report that $out writes every night is copied again within the run: one file, no exit, a new number each time", async () => {
  const db = newDatabase();
  await insert(db, "src", [1, 2, 3]);
  await insert(db, "report", [90, 91]);
  await using dir = await tempDir();
  const args = ["capture", db.databaseName, "--out", `${dir.join("out")}/`, "--state", dir.join("state")];
  await using capture = tapAt(set.uri).start(args);
  const path = dir.join("out", `${db.databaseName}.report.ndjson`);
  const copies = async (): Promise<unknown[]> => {
    const lines = await linesIn(path).catch(() => linesIn(`${path}.partial`).catch(() => []));
    return lines.map(({ _id, _meta }) => (_meta?.op === "t" ? _meta.reason : `${String(_id)}#${_meta?.copy ?? 1}`));
  };
  const seen = (count: number): Promise<unknown> =>
    waitFor(async () => (await copies()).length === count, { what: `${count} lines`, timeoutMs: 30_000 });
  await seen(2);
  const wanted: string[] = ["90#1", "91#1"];
  for (const night of [2, 3, 4]) {
    await db.collection("src").deleteOne({ _id: (night - 1) as never });
    await out(db, "src", "report");
    const left = upTo(4).filter((id) => id >= night);
    wanted.push("replaced", ...left.map((id) => `${id}#${night}`));
    await seen(wanted.length);
  }
  capture.kill("SIGTERM");
  const { code, stderr } = await capture.done;
  expect(code).toBe(0);
  expect(await copies()).toEqual(wanted);
  expect(stderr.match(/report was replaced: a command such as \$out wrote it anew/g)).toHaveLength(3);
  expect((await readdir(dir.join("out"))).toSorted()).toEqual(
    ["report", "src"].map((name) => `${db.databaseName}.${name}.ndjson`),
  );
});

describe("C14 a collection that is replaced", () => {
  const MANY = 20_000;
  const SLOW = ["--rate-limit", "100KB"] as const;

  test("while it is copied for the first time is copied as it is now, by its name and with its database", async () => {
    for (const scope of ["database", "name"]) {
      const db = newDatabase();
      await insert(db, "a", upTo(MANY));
      await insert(db, "a_new", upTo(50), 2);
      const name = scope === "name" ? `${db.databaseName}.a` : db.databaseName;
      await using trial = await trialOf(set.uri, ["capture", name]);
      await using capture = trial.start([...SLOW, ...CAUGHT_UP]);
      await trial.waitForLines(1);
      await swap(db, "a_new", "a");
      capture.kill("SIGKILL");
      await capture.done;
      // By its name it is renamed away in one run, and replaced in the next.
      if (scope === "name") for (let run = 0; run < 2; run += 1) await trial.expect(7, CAUGHT_UP);
      await trial.expect(0, CAUGHT_UP);
      const others = ["a_new", "a_old"].map((other) => `${db.databaseName}.${other}`);
      await expectTrue(trial, [db], scope === "name" ? others : []);
    }
  });

  test("and killed -9 in the midst of the copy that follows goes on with that copy", async () => {
    const db = newDatabase();
    await insert(db, "a", [1, 2]);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
    await trial.expect(0, CAUGHT_UP);
    await insert(db, "a_new", upTo(MANY), 2);
    await swap(db, "a_new", "a");
    let copied = 0;
    const hasMore = ({ position }: Checkpoint): boolean => {
      const state = position.collections[`${db.databaseName}.a`];
      const documents = state?.phase === "copying" && state.copy !== undefined ? state.ranges[0].documents : 0;
      const isMore = documents > copied;
      if (isMore) copied = documents;
      return isMore;
    };
    for (let kill = 0; kill < 3; kill += 1) {
      await using capture = trial.start(SLOW);
      await trial.waitForSaved(hasMore, "a part of the copy to be saved");
      capture.kill("SIGKILL");
      await capture.done;
    }
    expect(copied).toBeLessThan(MANY);
    await trial.expect(0, CAUGHT_UP);
    const lines = await expectTrue(trial, [db]);
    const rows = lines.filter(({ _meta }) => _meta?.source.collection === "a" && _meta.snapshot && _meta.copy);
    expect(rows.map(({ _id }) => _id)).toEqual(upTo(MANY));
    expect(new Set(rows.map(({ _meta }) => _meta?.copy)).size).toBe(1);
  });
});

describe("C15 when history is lost", () => {
  test("all that is in the output is void: what was created later, and what was dropped meanwhile, too", async () => {
    for (const policy of ["next-run", "now"] as const) {
      const db = newDatabase();
      await insert(db, "first", [1, 2, 3]);
      await using trial = await trialOf(set.uri, ["capture", db.databaseName, "--on-history-lost", policy]);
      await trial.expect(0, CAUGHT_UP);
      for (const name of ["later", "gone"]) await insert(db, name, [1, 2, 3]);
      await trial.expect(0, CAUGHT_UP);
      const wanted = ["first", "later", "gone"].map((name) => `${db.databaseName}.${name}`);
      expect(Object.keys((await trial.saved()).position.collections).toSorted()).toEqual(wanted.toSorted());
      for (const name of ["first", "later"]) await db.collection<Numbered>(name).deleteOne({ _id: 2 });
      await db.collection<Numbered>("later").updateOne({ _id: 3 }, { $set: { v: 7 } });
      await db.collection("gone").drop();
      await insert(db, "unknown", [9]);
      await rollOplog(client);
      if (policy === "next-run") await trial.expect(6, CAUGHT_UP);
      await trial.expect(0, CAUGHT_UP);
      const lines = await expectTrue(trial, [db]);
      expect(endsOf(lines).toSorted()).toEqual(["first copied again", "gone dropped", "later copied again"]);
      const rows = lines.filter(({ _meta }) => _meta?.copy === 2).map(({ _meta }) => _meta?.source.collection);
      expect(rows.toSorted()).toEqual(["first", "first", "later", "later"]);
      // And everything is known from now on.
      await db.collection<Numbered>("unknown").deleteOne({ _id: 9 });
      await trial.expect(0, CAUGHT_UP);
      await expectTrue(trial, [db]);
    }
  });
});

describe("C16 a collection that is taken out of the list", () => {
  test("is named, and copied again, behind a line that voids the rest, when it is bound again", async () => {
    const db = newDatabase();
    for (const name of ["a", "b", "c"]) await insert(db, name, [1, 2, 3]);
    const [a, b, c] = ["a", "b", "c"].map((name) => `${db.databaseName}.${name}`) as [string, string, string];
    await using trial = await trialOf(set.uri, ["capture", b]);
    await trial.expect(0, [a, c, ...CAUGHT_UP]);
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(stderr).toContain(`${a} is no longer read`);
    for (const name of ["a", "b"]) await db.collection<Numbered>(name).deleteOne({ _id: 2 });
    await db.collection("c").drop();
    await insert(db, "b", [4]);
    expect((await trial.expect(0, CAUGHT_UP)).stderr).not.toContain("no longer read");
    const again = await trial.expect(0, [a, c, "--allow-missing", ...CAUGHT_UP]);
    expect(again.stderr).toContain(`${a} is copied again`);
    const lines = await expectTrue(trial, [db]);
    expect(endsOf(lines).toSorted()).toEqual(["a copied again", "c dropped"]);
    expect(lines.filter(({ _meta }) => _meta?.copy === 2).map(({ _id }) => _id)).toEqual([1, 3]);
  });

  test("does not keep the losses of history from being forgotten", async () => {
    const db = newDatabase();
    for (const name of ["a", "b"]) await insert(db, name, [1]);
    const [a, b] = [`${db.databaseName}.a`, `${db.databaseName}.b`];
    await using trial = await trialOf(set.uri, ["capture", b]);
    await trial.expect(0, [a, ...CAUGHT_UP]);
    await trial.expect(0, CAUGHT_UP);
    await rollOplog(client);
    await trial.expect(6, CAUGHT_UP);
    await trial.expect(0, CAUGHT_UP);
    await insert(db, "b", [2]);
    await trial.expect(0, CAUGHT_UP);
    const { position } = await trial.saved();
    expect([position.losses, position.collections[a]?.phase]).toEqual([undefined, "unbound"]);
  });
});

describe("C17 a tail", () => {
  test("says what ended, in lines and on standard error, and knows no temporary name", async () => {
    const db = newDatabase();
    const other = newDatabase();
    await insert(db, "src", [1, 2]);
    await insert(db, "report", [9]);
    await insert(other, "m", [3]);
    await using dir = await tempDir();
    const args = ["tail", db.databaseName, "--state", dir.join("state"), "--out", `${dir.join("out")}/`];
    await tapAt(set.uri).expect(0, [...args, ...CAUGHT_UP]);
    await out(db, "src", "report");
    await client
      .db("admin")
      .command({ renameCollection: `${other.databaseName}.m`, to: `${db.databaseName}.m`, dropTarget: true });
    await db.collection("src").drop();
    const { stderr } = await tapAt(set.uri).expect(0, [...args, ...CAUGHT_UP]);
    for (const text of ["report was replaced", "m was replaced", "src was dropped"])
      expect(stderr).toContain(`${db.databaseName}.${text}`);
    expect(stderr).not.toMatch(TEMPORARY);
    const files = await readdir(dir.join("out"));
    expect(files.toSorted()).toEqual(["m", "report", "src"].map((name) => `${db.databaseName}.${name}.ndjson`));
    for (const file of files) expect(endsOf(await linesIn(dir.join("out", file)))).toHaveLength(1);
  });
});

describe("C18 the other envelopes", () => {
  test("have a line for each end; raw has the server's own events, and no file under a temporary name", async () => {
    const db = newDatabase();
    await insert(db, "a", [1]);
    await insert(db, "b", [2]);
    for (const envelope of ["change", "debezium", "flat", "raw"]) {
      await using dir = await tempDir();
      const args = ["capture", db.databaseName, "--envelope", envelope, "--out", `${dir.join("out")}/`];
      const all = [...args, "--state", dir.join("state"), ...CAUGHT_UP];
      await tapAt(set.uri).expect(0, all);
      await out(db, "a", "b");
      await db.collection("a").rename("c", { dropTarget: true });
      await tapAt(set.uri).expect(0, all);
      await db.collection("c").rename("a");
      const files = (await readdir(dir.join("out"))).toSorted();
      expect(files.filter((file) => file.includes("tmp"))).toEqual([]);
      const ends: string[] = [];
      for (const file of files) {
        for (const line of await linesIn(dir.join("out", file))) {
          const of = line["op"] ?? line["__op"] ?? line["operationType"];
          if (["t", "truncate", "rename"].includes(String(of))) ends.push(`${file.split(".")[1]} ${String(of)}`);
        }
      }
      const t = envelope === "raw" ? "truncate" : "t";
      const renamed = envelope === "raw" ? "rename" : "t";
      expect([envelope, ends]).toEqual([envelope, [`a ${renamed}`, `b ${t}`, `c ${t}`]]);
    }
  });

  test("none says at the end of the run how many collections it left out", async () => {
    const db = newDatabase();
    await insert(db, "a", [1]);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName, "--envelope", "none"]);
    await trial.expect(0, CAUGHT_UP);
    await db.collection("a").drop();
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(stderr).toContain("the end of a collection left out: --envelope none cannot show");
  });
});
