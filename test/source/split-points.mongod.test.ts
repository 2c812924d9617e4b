import { describe, expect, test } from "bun:test";
import { must } from "../../src/errors.ts";
import { splitEvenly, documentsIn, findSplitPoint } from "../../src/source/split-points.ts";
import { readRange } from "../../src/source/snapshot.ts";
import { documents, randomOf } from "../support/documents.ts";
import { BEGIN, expectedIds, idsOf, insertMixed, KINDS, never, prepare, type Prepared } from "./kinds.ts";

async function keysOf({ settings, database }: Prepared, partitions: number): Promise<string[]> {
  const { namespace } = settings.info;
  const count = await documentsIn(database.client, namespace);
  return await splitEvenly(database.client, namespace, { partitions, count }, never);
}

/** The `_id`s of each range between the keys. */
async function rangesOf(prepared: Prepared, partitions: number): Promise<string[][]> {
  const keys = await keysOf(prepared, partitions);
  const bounds = [undefined, ...keys, undefined];
  const ranges = keys.length + 1;
  const read = async (_: unknown, i: number): Promise<string[]> => {
    const [from, to] = [bounds[i], bounds[i + 1]];
    const range = { ...BEGIN, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    return (await Array.fromAsync(readRange(prepared.settings, range, never))).flatMap(idsOf);
  };
  return await Promise.all(Array.from({ length: ranges }, read));
}

describe.each(KINDS)("splitEvenly() of a %s collection with _ids of every type", (_, options) => {
  test.each([1, 2, 3, 7, 50])(
    "makes %p ranges of equal size, give or take one document, that cover the collection",
    async (n) => {
      const prepared = await prepare(options);
      await insertMixed(prepared, 100);
      const ranges = await rangesOf(prepared, n);
      expect(ranges).toHaveLength(n);
      expect(ranges.flat()).toEqual(await expectedIds(prepared));
      // The last range has `_id: MaxKey` as well, which index bounds exclude.
      const sizes = ranges.map((ids, i) => ids.length - (i === n - 1 ? 1 : 0));
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    },
  );

  test("resolves to the same keys each time", async () => {
    const prepared = await prepare(options);
    await insertMixed(prepared, 100);
    expect(await keysOf(prepared, 11)).toEqual(await keysOf(prepared, 11));
  });
});

test.each([
  [0, 3, [0]],
  [1, 3, [1]],
  [2, 3, [1, 1]],
  [3, 3, [1, 1, 1]],
  [10, 4, [2, 3, 2, 3]],
  [100, 40, Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 2 : 3))],
] as const)("splitEvenly() of %p documents into %p ranges", async (count, partitions, sizes) => {
  const prepared = await prepare({});
  if (count > 0) await prepared.collection.insertMany([...documents("small", count)]);
  expect((await rangesOf(prepared, partitions)).map((ids) => ids.length)).toEqual([...sizes]);
});

test("splitEvenly() splits between compound _ids, whatever the order of their fields", async () => {
  const prepared = await prepare({});
  const random = randomOf(5);
  const ids = Array.from({ length: 300 }, (_, i) =>
    i % 2 === 0 ? { tenant: Math.floor(random() * 5), at: i } : { at: { day: i, list: [i, null] }, tenant: random() },
  );
  await prepared.database.db.command({ insert: "c", documents: ids.map((_id) => ({ _id })) });
  const ranges = await rangesOf(prepared, 7);
  expect(ranges.flat()).toEqual(await expectedIds(prepared));
  expect(new Set(ranges.map((range) => range.length))).toEqual(new Set([42, 43]));
});

test("splitEvenly() of a wrong count makes ranges that cover the collection", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([...documents("small", 100)]);
  const { namespace } = prepared.settings.info;
  const keysFor = (count: number): Promise<string[]> =>
    splitEvenly(prepared.database.client, namespace, { partitions: 4, count }, never);
  expect(await keysFor(0)).toHaveLength(3);
  expect(await keysFor(40)).toHaveLength(3);
  expect(await keysFor(160)).toHaveLength(2);
  expect(await keysFor(1_000_000)).toEqual([]);
});

test("splitEvenly() reads the index, and no documents but those of its keys", async () => {
  const prepared = await prepare({});
  const { collection, database, settings } = prepared;
  await collection.insertMany([...documents("small", 200)]);
  await database.db.command({ profile: 2 });
  await keysOf(prepared, 5);
  await database.db.command({ profile: 0 });
  const finds = await database.db.collection("system.profile").find({ "command.find": "c" }).toArray();
  expect(finds).toHaveLength(4);
  expect(finds.map(({ docsExamined }) => Number(docsExamined))).toEqual([1, 1, 1, 1]);
  expect(settings.info.capped).toBe(false);
});

test("findSplitPoint() counts from the key that was read last", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([...documents("small", 10)]);
  const { namespace } = prepared.settings.info;
  const at = (last: string | undefined, count: number): Promise<string | undefined> =>
    findSplitPoint(
      prepared.database.client,
      namespace,
      { ...BEGIN, ...(last === undefined ? {} : { last }) },
      count,
      never,
    ).then(({ key }) => key);
  const third = must(await at(undefined, 3), "a key");
  expect(await at(third, 4)).toBe(must(await at(undefined, 7), "a key"));
  expect(await at(third, 7)).toBeUndefined();
});
