import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DocumentAt } from "../../src/codec/bson.ts";
import { must } from "../../src/errors.ts";
import { findId } from "../../src/source/bson-key.ts";
import { operationTimeOf } from "../../src/source/cluster-time.ts";
import { equalKeys, keyText } from "../../src/source/equal-keys.ts";
import { isSameInIndex } from "../../src/source/index-bytes.ts";
import { LookupReads, readsOf } from "../../src/source/lookup-reads.ts";
import type { Wanted } from "../../src/source/lookup-times.ts";
import { type RawValue, rawValue } from "../../src/source/raw-bson.ts";
import type { RangeProgress } from "../../src/source/record.ts";
import { readRange, type SnapshotSettings } from "../../src/source/snapshot.ts";
import { documentsIn, splitEvenly } from "../../src/source/split-points.ts";
import { BEGIN, expectedIds, idsOf, KINDS, never, prepare, type Prepared } from "./kinds.ts";
import { anyId, changedByJavaScript, insertIds } from "./raw-ids.ts";

const UNUSUAL = [1, 2, 3].flatMap((n) => Object.values(changedByJavaScript).map((make) => make(n)));
const RUNS = 8;

/** Reads one document, saves the progress as a state file does, and begins again from there. */
async function readOneByOne(settings: SnapshotSettings, from: RangeProgress = BEGIN): Promise<string[]> {
  const ids: string[] = [];
  let progress = from;
  while (!progress.done) {
    for await (const chunk of readRange(settings, progress, never, 1)) {
      ids.push(...idsOf(chunk));
      progress = JSON.parse(JSON.stringify(chunk.progress)) as RangeProgress;
    }
  }
  return ids;
}

/** The same for each of the ranges of a `--split`. */
async function readParts({ database, settings }: Prepared, partitions: number): Promise<string[][]> {
  const { namespace } = settings.info;
  const count = await documentsIn(database.client, namespace);
  const keys = await splitEvenly(database.client, namespace, { partitions, count }, never);
  const read: string[][] = [];
  for (const [i, from] of [undefined, ...keys].entries()) {
    const to = keys[i];
    const range = { ...BEGIN, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    read.push(await readOneByOne(settings, range));
  }
  return read;
}

describe.each(KINDS)("a %s collection with _ids of any bytes", (_, options) => {
  test("is read in the order of the index, each document once, resumed after every one", async () => {
    const property = fc.asyncProperty(fc.array(anyId, { minLength: 20, maxLength: 60 }), async (ids) => {
      const prepared = await prepare(options);
      const inserted = await insertIds(prepared.database.client, prepared.database.name, "c", [...UNUSUAL, ...ids]);
      const expected = await expectedIds(prepared);
      expect(inserted).toBeGreaterThanOrEqual(UNUSUAL.length);
      expect(expected).toHaveLength(inserted);
      expect(await readOneByOne(prepared.settings)).toEqual(expected);
      expect((await readParts(prepared, 9)).flat()).toEqual(expected);
    });
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
  });

  test("is split at any of them, each document in one part", async () => {
    const prepared = await prepare(options);
    const { client, name } = prepared.database;
    const count = await insertIds(client, name, "c", UNUSUAL);
    const read = await readParts(prepared, count);
    expect(read.map(({ length }) => length)).toEqual(read.map(() => 1));
    expect(read.flat()).toEqual(await expectedIds(prepared));
  });
});

test("an index without the documents returns equal keys but for those that isSameInIndex() names", async () => {
  const property = fc.asyncProperty(fc.array(anyId, { minLength: 20, maxLength: 60 }), async (ids) => {
    const prepared = await prepare({});
    await insertIds(prepared.database.client, prepared.database.name, "c", [...UNUSUAL, ...ids]);
    const whole = (await expectedIds(prepared)).map(valueOf);
    const covered = (await expectedIds(prepared, { _id: 1 })).map(valueOf);
    const changed = whole.filter((id, i) => !equalKeys(id, must(covered[i], "the key in the index")));
    expect(changed.filter(isSameInIndex)).toEqual([]);
    expect(changed.length).toBeGreaterThanOrEqual(3);
  });
  await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
});

/** `element`: an element `_id` in hex. */
function valueOf(element: string): RawValue {
  const bytes = Buffer.from(element, "hex");
  return { type: must(bytes[0], "a type"), bytes, begin: "?_id\0".length, end: bytes.length };
}

test.each(KINDS.filter(([kind]) => kind !== "capped"))(
  "documents of a %s collection are looked up by _ids of any bytes, together",
  async (_, options) => {
    const prepared = await prepare(options);
    const { client, name } = prepared.database;
    expect(await insertIds(client, name, "c", UNUSUAL)).toBe(UNUSUAL.length);
    const time = must(operationTimeOf(await client.db(name).command({ ping: 1 })), "a cluster time");
    const wanted = UNUSUAL.map(({ type, body }): Wanted => {
      const id = rawValue(type, body);
      const history = { collection: `${name}.c`, id, idText: keyText(id), shardKey: [], steps: [] };
      return { history, step: { time, events: [], lacking: [], after: "hidden" }, until: undefined, found: "absent" };
    });
    const reads = new LookupReads({ client, signal: AbortSignal.timeout(20_000) });
    await reads.readAt(readsOf(time, wanted));
    const found = wanted.map((one) => one.found);
    expect(found.filter((one) => typeof one === "string")).toEqual([]);
    for (const [i, one] of found.entries()) {
      const { bytes, begin } = one as DocumentAt;
      const { begin: at, end } = must(findId(bytes, begin), "_id");
      const { type, body } = must(UNUSUAL[i], "the id");
      expect(Buffer.from(bytes.subarray(at, end))).toEqual(Buffer.from([type, ...Buffer.from("_id\0"), ...body]));
    }
    for (const reply of reads.takeReplies()) reply.release();
  },
);
