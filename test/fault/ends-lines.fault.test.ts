/** Faults C17 and C18 of docs/reliability.md: the ends of collections in the lines of a tail and of each envelope. */
import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";

import { linesIn, tapAt } from "../cli/tap.ts";
import { tempDir } from "../support/temp.ts";
import { endsOf, insert, out, TEMPORARY } from "./support/ends.ts";
import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

const { set, client, newDatabase } = await ownReplicaSet("ends");

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

  test("none says at the end of the run which ends of collections it left out", async () => {
    const db = newDatabase();
    await insert(db, "a", [1]);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName, "--envelope", "none"]);
    await trial.expect(0, CAUGHT_UP);
    await db.collection("a").drop();
    const { stderr } = await trial.expect(0, CAUGHT_UP);
    expect(stderr).toContain(`the end of ${db.databaseName}.a left out: --envelope none cannot show`);
  });
});
