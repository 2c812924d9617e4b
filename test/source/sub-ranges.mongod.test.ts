import { describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandStartedEvent, MongoClient } from "mongodb";
import { must } from "../../src/errors.ts";
import {
  type SubRange,
  type SubRangeReader,
  localReader,
  type SubRangeSettings,
  readInSubRanges,
} from "../../src/source/sub-ranges.ts";
import { BEGINNING, type ClusterTime, type RangeProgress } from "../../src/source/record.ts";
import { documents, smallDocument } from "../support/documents.ts";
import { BEGIN, expectedIds, idsOf, insertMixed, KINDS, never, prepare, type Prepared } from "./kinds.ts";

/** More than the first chunk, so that there are sub-ranges. */
const STRINGS = 3_000;
/** The chunk size for the smallest sub-ranges, of about 16 documents. */
const TINY = 1_000;

interface Watched {
  readonly settings: SubRangeSettings;
  readonly subRanges: SubRange[];
}

/** Reads small sub-ranges, some of which arrive before earlier ones. */
function watched({ settings }: Prepared, notBefore?: ClusterTime, chunkBytes = TINY): Watched {
  const subRanges: SubRange[] = [];
  const local = localReader({ ...settings, chunkBytes }, 4);
  const reader: SubRangeReader = {
    width: local.width,
    async *read(subRange, signal) {
      subRanges.push(subRange);
      await sleep((subRanges.length * 7) % 5);
      yield* local.read(subRange, signal);
    },
  };
  const throttle: SubRangeSettings["throttle"] = { acquire: () => Promise.resolve({ release: () => undefined }) };
  return { settings: { ...settings, chunkBytes, notBefore, reader, throttle }, subRanges };
}

describe.each(KINDS)("readInSubRanges() of a %s collection with _ids of every type", (_, options) => {
  test("yields every document once, in the order of the index", async () => {
    const prepared = await prepare(options);
    await insertMixed(prepared, STRINGS);
    const { settings, subRanges } = watched(prepared);
    const chunks = await Array.fromAsync(readInSubRanges(settings, BEGIN, never));
    expect(chunks.flatMap(idsOf)).toEqual(await expectedIds(prepared));
    expect(subRanges.length).toBeGreaterThan(20);
    expect(chunks.map(({ progress }) => progress.done)).toEqual(chunks.map((__, i) => i === chunks.length - 1));
  });

  test("resumes after any chunk", async () => {
    const prepared = await prepare(options);
    await insertMixed(prepared, STRINGS);
    const ids: string[] = [];
    let progress = BEGIN;
    for (let life = 1; !progress.done; life += 1) {
      let chunks = 0;
      for await (const chunk of readInSubRanges(watched(prepared).settings, progress, never)) {
        ids.push(...idsOf(chunk));
        progress = JSON.parse(JSON.stringify(chunk.progress)) as RangeProgress;
        chunks += 1;
        if (chunks === life * 3) break;
      }
    }
    expect(ids).toEqual(await expectedIds(prepared));
    expect(progress.documents).toBe(ids.length);
  });
});

test("readInSubRanges() of a range with an end yields the documents before it", async () => {
  const prepared = await prepare({});
  await insertMixed(prepared, STRINGS);
  const all = await Array.fromAsync(readInSubRanges(watched(prepared).settings, BEGIN, never));
  const [from, to] = [all[30], all[90]].map((chunk) => must(chunk?.progress.last, "a key"));
  const range = { ...BEGIN, from: must(from, "a key"), to: must(to, "a key") };
  const chunks = await Array.fromAsync(readInSubRanges(watched(prepared).settings, range, never));
  const ids = (await expectedIds(prepared)).slice(
    (all[30]?.progress.documents ?? 0) - 1, // the key itself is inside
    (all[90]?.progress.documents ?? 0) - 1, // and this one is not
  );
  expect(chunks.flatMap(idsOf)).toEqual(ids);
});

test("readInSubRanges() of a collection that grows meanwhile yields no document twice, and each that was there before", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany(Array.from({ length: 4_000 }, (_, i) => smallDocument(i * 10)));
  const before = await expectedIds(prepared);
  const ids: string[] = [];
  let round = 1;
  for await (const chunk of readInSubRanges(watched(prepared).settings, BEGIN, never)) {
    ids.push(...idsOf(chunk));
    const more = Array.from({ length: 40 }, (_, i) => smallDocument(i * 1_000 + round));
    if (round % 10 !== 0 && round < 100) await prepared.collection.insertMany(more);
    round += 1;
  }
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  expect(before.filter((id) => !ids.includes(id))).toEqual([]);
  expect(ids.length).toBeGreaterThan(before.length);
});

test("readInSubRanges() for a change stream reads no sub-range at an earlier time than the one before it", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([...documents("small", 4_000)], { writeConcern: { w: "majority" } });
  let isDone = false;
  const writing = (async () => {
    for (let v = 0; !isDone; v += 1) await prepared.collection.updateOne({}, { $set: { v } });
  })();
  const { settings, subRanges } = watched(prepared, BEGINNING);
  const chunks = await Array.fromAsync(readInSubRanges(settings, BEGIN, never));
  isDone = true;
  await writing;
  const times = chunks.map(({ at }) => at);
  expect(times.toSorted()).toEqual(times);
  expect(chunks.every(({ exact }) => exact)).toBe(true);
  // Each at the time in its command, not at the time when the server ran it.
  const asked = subRanges.map(({ at }) => at ?? "");
  expect(new Set(asked).size).toBeGreaterThan(5);
  expect(asked.toSorted()).toEqual(asked);
});

test("readInSubRanges() needs one command for a sub-range and one for its split point, and leaves no cursor open", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([...documents("small", 4_000)]);
  await using client = await MongoClient.connect(prepared.database.uri, { monitorCommands: true });
  const names: string[] = [];
  client.on("commandStarted", ({ commandName }: CommandStartedEvent) => names.push(commandName));
  const { settings, subRanges } = watched(
    { ...prepared, settings: { ...prepared.settings, client } },
    undefined,
    16_384,
  );
  await Array.fromAsync(readInSubRanges(settings, BEGIN, never));
  expect(subRanges.length).toBeGreaterThan(10);
  const finds = names.filter((name) => name === "find").length;
  // Besides: the first chunk, and after the last key an empty reply and `_id: MaxKey`.
  expect([finds, names.length]).toEqual([2 * subRanges.length + 4, 2 * subRanges.length + 4]);
});

test("readInSubRanges() stops the reads ahead when its consumer stops", async () => {
  const prepared = await prepare({});
  await prepared.collection.insertMany([...documents("small", 4_000)]);
  const { settings } = watched(prepared);
  let chunks = 0;
  for await (const _ of readInSubRanges(settings, BEGIN, never)) if ((chunks += 1) === 5) break;
  const stop = new AbortController();
  const rest = (async () => {
    for await (const _ of readInSubRanges(settings, BEGIN, stop.signal)) stop.abort(new Error("enough"));
  })();
  expect(await rest.catch(String)).toBe("Error: enough");
});
