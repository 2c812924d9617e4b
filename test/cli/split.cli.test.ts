import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { documents } from "../support/documents.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { allShares, COUNT, filesIn, joinedIn, prepareWhole, SLOW_MS, SMALL_CHUNKS } from "./parts.ts";
import { linesOf } from "./tap.ts";

const { database, tap, orders, whole } = await prepareWhole();

describe("--split", () => {
  test(
    "cuts a collection into files that are, one behind the other, what one file would be; with --workers 3 the same",
    async () => {
      await using dir = await tempDir();
      const { name } = database;
      const args = ["backfill", name, `${name}.view`, "--split", ...SMALL_CHUNKS];
      await tap.expect(0, [...args, "--out", dir.join("one/"), "--workers", "1"]);
      await tap.expect(0, [...args, "--out", dir.join("three/"), "--workers", "3"]);
      const files = await filesIn(dir.join("one"));
      expect((await filesIn(dir.join("three"))).map(([file]) => file)).toEqual(files.map(([file]) => file));
      expect(await filesIn(dir.join("three"))).toEqual(files);
      const joined = await joinedIn(database, dir.join("one"));
      for (const [collection, text] of whole)
        expect([collection, joined.get(collection) === text]).toEqual([collection, true]);
      const sizes = files.flatMap(([file, text]) => (file.startsWith(`${orders}~`) ? [linesOf(text).length] : []));
      expect(sizes).toEqual([COUNT / 4, COUNT / 4, COUNT / 4, COUNT / 4]);
    },
    SLOW_MS,
  );

  test("makes one file of a collection below 1000 documents, also of an empty one", async () => {
    await using dir = await tempDir();
    const { name, db } = database;
    await db.collection("small").insertMany([...documents("small", 999)]);
    const args = ["small", "few", "empty", "view"].map((collection) => `${name}.${collection}`);
    await tap.expect(0, ["backfill", ...args, "--split", "--out", dir.join("out/")]);
    expect(readdirSync(dir.join("out")).toSorted()).toEqual(args.map((arg) => `${arg}~0000.ndjson`).toSorted());
  });

  test("of a shard has only its files: neighbors, under their numbers among all partitions", async () => {
    await using dir = await tempDir();
    const args = [orders, "--split", "--ranges", dir.join("ranges")];
    await allShares(tap, (index) => [...args, "--out", dir.join(`out${index}/`)], 2);
    const shares = [await filesIn(dir.join("out0")), await filesIn(dir.join("out1"))];
    const nameOf = (part: number): string => `${orders}~000${part}.ndjson`;
    expect(shares.map((files) => files.map(([file]) => file))).toEqual([[0, 1].map(nameOf), [2, 3].map(nameOf)]);
    const texts = shares.flat().map(([, text]) => text);
    expect(texts.join("") === whole.get("orders")).toBe(true);
  });

  test("numbers the file that the target of a binding names", async () => {
    await using dir = await tempDir();
    const { name, uri } = database;
    const binding = (collection: string, target: string): string =>
      `  - resource: {database: ${name}, collection: ${collection}}\n    target: ${target}\n`;
    const config = `bindings:\n${binding("orders", "acmeCo/deep/all~0001")}${binding("few", "acmeCo/few.ndjson")}`;
    await writeFile(dir.join("config.yaml"), config, { mode: 0o600 });
    const args = ["backfill", "--config", dir.join("config.yaml"), "--uri", uri, "--split", "--out", dir.join("out/")];
    await tap.expect(0, args);
    expect((await filesIn(dir.join("out"))).map(([file]) => file)).toEqual([
      ...[0, 1, 2, 3].map((part) => `acmeCo/deep/all%7E0001~000${part}.ndjson`),
      "acmeCo/few.ndjson~0000.ndjson",
    ]);
  });

  test("leaves the files of others alone, and refuses one that it does not know when there is a state", async () => {
    await using dir = await tempDir();
    await tap.expect(0, ["backfill", `${database.name}.plain`, "--out", dir.join("out/")]);
    const args = ["backfill", orders, "--split", "--out", dir.join("out/")];
    await tap.expect(0, args);
    const files = await filesIn(dir.join("out"));
    expect(files.map(([file]) => file)).toContain(`${database.name}.plain.ndjson`);
    const { stderr } = await tap.expect(8, [...args, "--state", dir.join("state")]);
    expect(stderr).toContain(`${orders}~0000.ndjson`);
    expect(await filesIn(dir.join("out"))).toEqual(files);
  });

  test("refuses a folder in which an earlier backfill, cut otherwise, has left the same documents", async () => {
    await using dir = await tempDir();
    const collection = database.db.collection("shrunk");
    await collection.insertMany([...documents("small", 2_000)]);
    const name = `${database.name}.shrunk`;
    const args = ["backfill", name, "--out", dir.join("out/")];
    await tap.expect(0, [...args, "--split"]);
    const before = await filesIn(dir.join("out"));
    expect(before.length).toBe(4);
    await collection.deleteMany({ sequence: { $gte: 500 } });
    for (const [again, left] of [
      [["--split"], `${name}~0001.ndjson`],
      [["--split", "--state", dir.join("state"), "--fresh"], `${name}~0001.ndjson`],
      [[], `${name}~0000.ndjson`],
    ] as const) {
      const { stderr } = await tap.expect(8, [...args, ...again]);
      expect(stderr).toContain(`${left} is of an earlier backfill, which was cut otherwise`);
      expect(await filesIn(dir.join("out"))).toEqual(before);
    }
    for (const [file] of before) await rm(dir.join(`out/${file}`));
    await tap.expect(0, args);
    const { stderr } = await tap.expect(8, [...args, "--split"]);
    expect(stderr).toContain(`${name}.ndjson is of an earlier backfill`);
  });

  test("with a state says that all is there, and with --fresh copies again", async () => {
    await using dir = await tempDir();
    const collection = database.db.collection("again2");
    await collection.insertMany([...documents("small", 2_000)]);
    const args = ["backfill", `${database.name}.again2`, "--split", "--out", dir.join("out/")];
    const kept = [...args, "--state", dir.join("state")];
    await tap.expect(0, kept);
    const before = await filesIn(dir.join("out"));
    await collection.insertMany([...documents("small", 2_000, 2_000)]);
    expect((await tap.expect(0, kept)).stderr).toContain("copied already");
    expect(await filesIn(dir.join("out"))).toEqual(before);
    await tap.expect(0, [...kept, "--fresh"]);
    const counts = (await filesIn(dir.join("out"))).map(([, text]) => linesOf(text).length);
    expect(counts).toEqual([1_000, 1_000, 1_000, 1_000]);
  });

  test("goes on with the files that it has begun, and makes none besides", async () => {
    await using dir = await tempDir();
    const args = ["backfill", database.name, "--split", "--out", dir.join("out/"), "--state", dir.join("state")];
    await using program = tap.start([...args, ...SMALL_CHUNKS, "--rate-limit", "500kB"]);
    const hasLines = async (): Promise<boolean> =>
      existsSync(dir.join("out")) && (await filesIn(dir.join("out"))).some(([, text]) => text !== "");
    await waitFor(hasLines, { what: "a file with lines" });
    program.kill("SIGTERM");
    expect((await program.done).code).toBe(12);
    await tap.expect(0, args);
    await tap.expect(0, ["backfill", database.name, "--split", "--out", dir.join("calm/")]);
    const found = await filesIn(dir.join("out"));
    const calm = await filesIn(dir.join("calm"));
    expect(found.map(([file]) => file)).toEqual(calm.map(([file]) => file));
    expect(found.every(([, text], i) => text === calm[i]?.[1])).toBe(true);
  });
});
