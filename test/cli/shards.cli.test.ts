import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { documents, randomOf } from "../support/documents.ts";
import { tempDir } from "../support/temp.ts";
import { allShares, COUNT, filesIn, joinedIn, prepareWhole, share, SLOW_MS, SMALL_CHUNKS } from "./parts.ts";
import { linesOf } from "./tap.ts";

const { database, tap, orders, whole } = await prepareWhole();

describe("three shards at once with a --ranges file that does not exist yet", () => {
  test(
    "into one folder: their files, one behind the other, are those of one process, for collections of every kind",
    async () => {
      await using dir = await tempDir();
      const { name } = database;
      const args = [name, `${name}.view`, "--out", dir.join("out/"), "--ranges", dir.join("ranges")];
      const results = await allShares(tap, () => args);
      const joined = await joinedIn(database, dir.join("out"));
      expect([...joined.keys()].toSorted()).toEqual([...whole.keys()].toSorted());
      for (const [collection, text] of whole)
        expect([collection, joined.get(collection) === text]).toEqual([collection, true]);
      for (const [index, { stderr }] of results.entries()) {
        expect(stderr).toContain(`share ${index}/3: `);
        expect(stderr).not.toContain("has to report");
      }
      expect(readdirSync(dir.path).toSorted()).toEqual(["out", "ranges"]);
    },
    SLOW_MS,
  );

  test.each(["orders", "plain", "collated", "capped", "clustered", "empty", "few", "view", "series"])(
    "into one file each, of the collection %s",
    async (collection) => {
      if (collection === "clustered" && !whole.has(collection)) return; // not on this server
      await using dir = await tempDir();
      const outs = [0, 1, 2].map((index) => dir.join(`${index}.ndjson`));
      const args = [`${database.name}.${collection}`, "--ranges", dir.join("ranges")];
      await allShares(tap, (index) => [...args, "--out", outs[index] ?? ""]);
      const texts = await Promise.all(outs.map((out) => readFile(out, "utf8")));
      expect(texts.join("") === whole.get(collection)).toBe(true);
      // Ranges are even; a collection without ranges belongs to one shard, and so does a single document.
      const busy = texts.filter((text) => text !== "").length;
      expect(busy).toBe(({ empty: 0, few: 2, view: 1, series: 1 } as Record<string, number>)[collection] ?? 3);
    },
    SLOW_MS,
  );

  test(
    "have lines of one size each",
    async () => {
      await using dir = await tempDir();
      await allShares(tap, () => [orders, "--out", dir.join("out/"), "--ranges", dir.join("ranges")]);
      const counts = (await filesIn(dir.join("out"))).map(([file, text]) => [file, linesOf(text).length]);
      expect(counts).toEqual([0, 1, 2].map((part) => [`${orders}~000${part}.ndjson`, COUNT / 3]));
    },
    SLOW_MS,
  );
});

describe("while documents are written", () => {
  const STAYING = 12_000;

  interface Busy {
    readonly name: string;
    readonly staying: readonly number[];
    /** Inserts and deletes once, at random keys; deletes of the lower half only, so that what is even moves. */
    readonly write: () => Promise<void>;
  }

  async function busy(collectionName: string): Promise<Busy> {
    const next = randomOf(7);
    let made = 0;
    const random = (): number => next() + (made += 1) / 2 ** 50; // no two are equal
    const collection = database.db.collection<{ _id: number; text: string }>(collectionName);
    const staying = Array.from({ length: STAYING }, random);
    const toDocument = (_id: number): { _id: number; text: string } => ({ _id, text: "x".repeat(50) });
    await collection.insertMany(staying.map(toDocument));
    let passing: number[] = [];
    return {
      name: `${database.name}.${collectionName}`,
      staying,
      async write() {
        const ids = Array.from({ length: 500 }, random);
        await collection.insertMany(ids.map(toDocument), { writeConcern: { w: 1 } });
        passing.push(...ids);
        const gone = passing.filter((id) => id < 0.5);
        passing = passing.filter((id) => id >= 0.5);
        await collection.deleteMany({ _id: { $in: gone } }, { writeConcern: { w: 1 } });
      },
    };
  }

  function checkOnce(texts: readonly string[], staying: readonly number[]): void {
    const ids = texts.flatMap((text) => linesOf(text).map(({ _id }) => Number(_id)));
    const found = new Set(ids);
    expect(found.size).toBe(ids.length);
    expect(staying.filter((id) => !found.has(id))).toEqual([]);
  }

  test(
    "three shards at once have every document that stays exactly once",
    async () => {
      const { name, staying, write } = await busy("busy");
      await using dir = await tempDir();
      const outs = [0, 1, 2].map((index) => dir.join(`${index}.ndjson`));
      let isDone = false;
      const writing = (async () => {
        while (!isDone) await write();
      })();
      const args = [name, "--ranges", dir.join("ranges"), ...SMALL_CHUNKS, "--rate-limit", "200kB"];
      await allShares(tap, (index) => [...args, "--out", outs[index] ?? ""]).finally(() => (isDone = true));
      await writing;
      checkOnce(await Promise.all(outs.map((out) => readFile(out, "utf8"))), staying);
    },
    SLOW_MS,
  );

  test(
    "shards that begin one after the other use the split points of the first",
    async () => {
      const { name, staying, write } = await busy("staggered");
      await using dir = await tempDir();
      for (const index of [2, 0, 1]) {
        await tap.expect(0, ["backfill", name, "--out", dir.join("out/"), "--ranges", dir.join("r"), ...share(index)]);
        for (let i = 0; i < 5; i += 1) await write();
      }
      const files = await filesIn(dir.join("out"));
      checkOnce(
        files.map(([, text]) => text),
        staying,
      );
    },
    SLOW_MS,
  );
});

describe("--shard without --ranges", () => {
  test(
    "warns with a digest, which is the same for all shards of a collection without writes",
    async () => {
      await using dir = await tempDir();
      const results = await allShares(tap, () => [orders, "--out", dir.join("out/")]);
      const digests = results.map(
        ({ stderr }) => /cut as ([0-9a-f]{8}); every share has to report the same/.exec(stderr)?.[1],
      );
      expect(digests[0]).toBeString();
      expect(new Set(digests).size).toBe(1);
      expect((await joinedIn(database, dir.join("out"))).get("orders") === whole.get("orders")).toBe(true);
    },
    SLOW_MS,
  );

  test("names another digest when the collection has changed", async () => {
    const collection = database.db.collection("growing");
    const digestOf = async (index: number): Promise<string | undefined> => {
      const { stderr } = await tap.expect(0, ["backfill", `${database.name}.growing`, ...share(index)]);
      return /cut as ([0-9a-f]{8})/.exec(stderr)?.[1];
    };
    await collection.insertMany([...documents("small", 30)]);
    const before = await digestOf(0);
    await collection.insertMany([...documents("small", 30, 30)]);
    expect(await digestOf(1)).not.toBe(before);
  });
});
