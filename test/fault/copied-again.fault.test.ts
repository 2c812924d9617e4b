/** Faults C13–C16 of docs/reliability.md: a collection is copied again, and what was written about it before is void. */
import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";

import type { Checkpoint } from "../../src/state/checkpoint.ts";
import { linesIn, tapAt } from "../cli/tap.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { endsOf, expectTrue, insert, type Numbered, out, sorted, swap } from "./support/ends.ts";
import { rollOplog, SMALL_OPLOG } from "./support/oplog.ts";
import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

const { set, client, newDatabase } = await ownReplicaSet("ends", SMALL_OPLOG);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

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
  expect(stderr.match(/report was replaced: \$out, or a rename from another database, wrote it anew/g)).toHaveLength(3);
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
      // By its name it is renamed away in one run, and replaced in the next: the killed one must be neither.
      if (scope === "database") await swap(db, "a_new", "a");
      capture.kill("SIGKILL");
      await capture.done;
      if (scope === "name") await swap(db, "a_new", "a");
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
      expect(sorted(endsOf(lines))).toEqual(["first copied again", "gone dropped", "later copied again"]);
      const rows = lines.filter(({ _meta }) => _meta?.copy === 2).map(({ _meta }) => _meta?.source.collection);
      expect(sorted(rows)).toEqual(["first", "first", "later", "later"]);
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
    expect(sorted(endsOf(lines))).toEqual(["a copied again", "c dropped"]);
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
