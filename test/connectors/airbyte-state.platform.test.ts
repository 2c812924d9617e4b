/** Reads of `mongotap airbyte` that stop anywhere and go on from any state: nothing is lost, and nothing covered is sent twice. */

import { describe, expect, test } from "bun:test";
import type { Collection } from "mongodb";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import {
  configured,
  Destination,
  foundRows,
  isCopied,
  keptStates,
  type Message,
  messagesOf,
  recordsOf,
  Source,
  statesOf,
  statusesOf,
  wholeMessagesOf,
} from "./airbyte.ts";

interface Numbered {
  readonly _id: number;
  readonly n?: number;
  readonly text?: string;
}

interface Prepared {
  readonly database: TestDatabase;
  readonly source: Source;
  readonly streamOf: (collection: string) => string;
  readonly collection: (name: string) => Collection<Numbered>;
  readonly fill: (name: string, count: number, text?: string) => Promise<string>;
}

async function prepare(more: Readonly<Record<string, unknown>> = {}): Promise<Prepared> {
  const database = await testDatabase();
  const source = await Source.with({ uri: database.uri, database: database.name, ...more });
  const collection = (name: string): Collection<Numbered> => database.db.collection<Numbered>(name);
  const streamOf = (name: string): string => `${database.name}.${name}`;
  return {
    database,
    source,
    streamOf,
    collection,
    async fill(name, count, text) {
      const all = Array.from({ length: count }, (_, i) => ({ _id: i, n: i, ...(text === undefined ? {} : { text }) }));
      await collection(name).insertMany(all);
      return streamOf(name);
    },
  };
}

/** Each change once, and each document copied once at most. */
function expectNothingTwice(messages: readonly Message[]): void {
  const seen = recordsOf(messages).map((record) => {
    const { _id: id, _ab_cdc_cursor: cursor } = record.data;
    return JSON.stringify([record.stream, id, isCopied(record) ? "copied" : cursor]);
  });
  expect(new Set(seen).size).toBe(seen.length);
}

describe("a read that is stopped", () => {
  test("by kill -9 in the middle of a copy goes on from each of its states", async () => {
    // 4 MB at 0.5 MB/s, so that a state comes amid the copy.
    const { database, source, fill, collection } = await prepare({ rateLimit: "500KB", maxMemory: "1MB" });
    const large = await fill("large", 4_000, "x".repeat(1_000));
    const small = await fill("small", 10);
    const catalog = configured([small, large]);
    await using reading = await source.startRead(catalog, []);
    await reading.waitForLine((line) => line.includes('"RECORD"') && line.includes(large));
    await collection("large").updateMany({ _id: { $lt: 50 } }, { $set: { n: -1 } });
    await collection("large").deleteMany({ _id: { $gte: 3_990 } });
    await collection("small").updateOne({ _id: 1 }, { $set: { n: -1 } });
    await reading.waitForLine((line) => line.includes('"STATE"') && line.includes(large) && line.includes('"last":"'));
    reading.kill("SIGKILL");
    const { stdout } = await reading.done;
    const cut = wholeMessagesOf(stdout);
    const states = cut.flatMap(({ type }, index) => (type === "STATE" ? [index] : []));
    expect(recordsOf(cut, large).length).toBeWithin(1, 4_000);
    await using fast = await Source.with({ uri: database.uri, database: database.name });
    for (const index of [states[0] ?? 0, ...states.slice(-2)]) {
      const before = cut.slice(0, index + 1);
      const after = await fast.readAll(catalog, { state: keptStates(before) });
      const destination = new Destination().load(before).load(after);
      for (const stream of [large, small])
        expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
      expectNothingTwice([...coveredBy(before), ...after]);
    }
  }, 60_000);

  test("at any state among changes goes on behind it", async () => {
    const { database, source, fill, collection } = await prepare();
    const streams = [await fill("a", 5), await fill("b", 5)];
    const [a = "", b = ""] = streams;
    const all: Message[] = [...(await source.readAll(configured(streams)))];
    const ends: number[] = [all.length];
    for (let round = 1; round <= 2; round += 1) {
      await collection("a").updateOne({ _id: round }, { $set: { n: 100 * round } });
      await collection("b").deleteOne({ _id: round });
      await collection("b").insertOne({ _id: 10 * round, n: round });
      all.push(...(await source.readAll(configured(streams), { state: keptStates(all) })));
      ends.push(all.length);
    }
    expect(recordsOf(all)).toHaveLength(10 + 2 * 3);
    expectNothingTwice(all);
    const states = all.flatMap(({ type }, index) => (type === "STATE" ? [index] : []));
    for (const index of [states[0] ?? 0, states[2] ?? 0, states.at(-3) ?? 0, states.at(-1) ?? 0]) {
      const before = all.slice(0, index + 1);
      const after = await source.readAll(configured(streams), { state: keptStates(before) });
      const destination = new Destination().load(before).load(after);
      for (const stream of [a, b]) expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
      expectNothingTwice([...coveredBy(before), ...after]);
    }
  });
});

/** The messages that the last states cover: of each stream, the records before its last state. */
function coveredBy(messages: readonly Message[]): readonly Message[] {
  return messages.filter(({ record }, index) => {
    if (record === undefined) return false;
    return messages
      .slice(index)
      .some(({ state }) => state?.stream?.stream_descriptor.name === record.stream || state?.global !== undefined);
  });
}

describe("streams with different positions", () => {
  test.each(["stream", "global"])(
    "%s: one that was not selected for a while gets what it has missed; the others get nothing twice",
    async (stateType) => {
      const { database, source, fill, collection } = await prepare({ stateType });
      const streams = [await fill("often", 5), await fill("seldom", 5)];
      const [often = "", seldom = ""] = streams;
      const all: Message[] = [...(await source.readAll(configured(streams)))];
      const read = async (selected: readonly string[]): Promise<void> => {
        all.push(...(await source.readAll(configured(selected), { state: keptStates(all) })));
      };
      await collection("often").updateOne({ _id: 1 }, { $set: { n: 11 } });
      await collection("seldom").updateOne({ _id: 2 }, { $set: { n: 22 } });
      await read([often]);
      await collection("often").deleteOne({ _id: 3 });
      await collection("seldom").deleteOne({ _id: 3 });
      await read([often]);
      await collection("often").updateOne({ _id: 4 }, { $set: { n: 44 } });
      const before = all.length;
      await read(streams);
      const first = all.findIndex(({ type }, index) => index >= before && type === "STATE");
      const cut = all.slice(0, first + 1);
      const covered = coveredBy(cut);
      const again = await source.readAll(configured(streams), { state: keptStates(cut) });
      expect(recordsOf([...covered, ...again])).toHaveLength(10 + 5);
      expectNothingTwice([...covered, ...again]);
      const destination = new Destination().load(all);
      for (const stream of streams) expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
      expect(recordsOf(all)).toHaveLength(10 + 5);
      expectNothingTwice(all);
      await read(streams);
      expect(recordsOf(all, seldom)).toHaveLength(5 + 2);
      expect(recordsOf(all)).toHaveLength(10 + 5);
    },
  );

  test("a rename of one that is ahead replaces the other, whose documents all come", async () => {
    const { database, source, fill } = await prepare();
    const streams = [await fill("new", 3), await fill("current", 5)];
    const [renamed = "", current = ""] = streams;
    const all: Message[] = [...(await source.readAll(configured(streams)))];
    await database.db.collection("new").rename("current", { dropTarget: true });
    // Only the renamed one is read past its end.
    all.push(...(await source.readAll(configured([renamed]), { state: keptStates(all) })));
    const last = await source.readAll(configured(streams), { state: keptStates(all) });
    expect(recordsOf(last, current).map(({ data }) => data._id)).toEqual([0, 1, 2]);
    expect(new Destination().load(last).rows(current)).toEqual(await foundRows(database.client, current));
  });

  test("a stream that is new beside one with a state is copied, and the other goes on", async () => {
    const { database, source, fill, collection } = await prepare();
    const [old, added] = [await fill("old", 5), await fill("added", 7)];
    const first = await source.readAll(configured([old]));
    await collection("old").updateOne({ _id: 1 }, { $set: { n: 11 } });
    await collection("added").updateOne({ _id: 1 }, { $set: { n: 11 } });
    const second = await source.readAll(configured([added, old]), { state: keptStates(first) });
    expect(recordsOf(second, added).map(isCopied)).toEqual(Array.from({ length: 7 }, () => true));
    expect(recordsOf(second, old)).toHaveLength(1);
    const destination = new Destination().load(first).load(second);
    for (const stream of [old, added])
      expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
  });
});

describe("one state for all streams", () => {
  test("holds every stream of the read, also those that are copied as a whole, and counts all records", async () => {
    const { source, fill, collection } = await prepare({ stateType: "global" });
    const streams = [await fill("a", 5), await fill("b", 6), await fill("whole", 7)];
    const [a = "", b = "", whole = ""] = streams;
    const catalog = {
      streams: [...configured([a, b]).streams, ...configured([whole], { sync_mode: "full_refresh" }).streams],
    };
    const first = await source.readAll(catalog);
    const states = statesOf(first);
    expect(states.every(({ type, stream }) => type === "GLOBAL" && stream === undefined)).toBe(true);
    expect(states.reduce((sum, { sourceStats }) => sum + sourceStats.recordCount, 0)).toBe(18);
    const names = states.at(-1)?.global?.stream_states.map(({ stream_descriptor: { name } }) => name);
    expect(names?.toSorted()).toEqual([...streams].toSorted());
    await collection("a").updateOne({ _id: 1 }, { $set: { n: 11 } });
    const second = await source.readAll(catalog, { state: keptStates(first) });
    expect([a, b].map((stream) => recordsOf(second, stream).length)).toEqual([1, 0]);
  });
});

describe("a full refresh", () => {
  const refresh = (streams: readonly string[], generation: number, sync: number): unknown =>
    configured(streams, {
      sync_mode: "full_refresh",
      generation_id: generation,
      minimum_generation_id: 0,
      sync_id: sync,
    });

  test("that was cut goes on within its generation, and begins anew in the next", async () => {
    const { database, source: slow, streamOf } = await prepare({ rateLimit: "500KB", maxMemory: "1MB" });
    await database.db.collection("large").insertMany([...documents("typical", 6_000)]);
    const large = streamOf("large");
    await using reading = await slow.startRead(refresh([large], 1, 1), []);
    await reading.waitForLine((line) => line.includes('"STATE"') && line.includes('"last":"'));
    reading.kill("SIGKILL");
    const { stdout } = await reading.done;
    const cut = wholeMessagesOf(stdout);
    const covered = recordsOf(coveredBy(cut)).length;
    expect(covered).toBeWithin(1, 6_000);
    await using source = await Source.with({ uri: database.uri, database: database.name });
    const attempt = await source.readAll(refresh([large], 1, 1), { state: keptStates(cut) });
    expect(recordsOf(attempt)).toHaveLength(6_000 - covered);
    expectNothingTwice([...coveredBy(cut), ...attempt]);
    const states = keptStates(attempt);
    const later = await source.readAll(refresh([large], 1, 1), { state: states });
    expect(recordsOf(later)).toEqual([]);
    const complete = `${large} is complete in this generation_id and sync_id: it is not read again`;
    expect(later.some(({ log }) => log?.message === complete)).toBe(true);
    expect(recordsOf(await source.readAll(refresh([large], 1, 2), { state: states }))).toHaveLength(6_000);
    expect(recordsOf(await source.readAll(refresh([large], 2, 3), { state: keptStates(cut) }))).toHaveLength(6_000);
  }, 60_000);

  test.each(["collection", "time series"])("that was cut begins anew where the %s was made anew", async (kind) => {
    const { database, source, streamOf } = await prepare({ rateLimit: "200KB", maxMemory: "1MB", workers: 1 });
    const isSeries = kind === "time series";
    const fill = async (count: number): Promise<void> => {
      if (isSeries) await database.db.createCollection("c", { timeseries: { timeField: "at", metaField: "of" } });
      const text = "x".repeat(1_000);
      const all = Array.from({ length: count }, (_, i) => ({ at: new Date(i), of: i % 100, text: `${i} ${text}` }));
      await database.db.collection("c").insertMany(all);
    };
    await fill(1_000);
    const stream = streamOf("c");
    await using reading = await source.startRead(refresh([stream], 1, 1), []);
    await reading.waitForLine((line) => line.includes('"RECORD"'));
    reading.kill("SIGTERM");
    const cut = messagesOf((await reading.done).stdout);
    const covered = recordsOf(coveredBy(cut)).length;
    expect(covered).toBeWithin(1, 1_000);
    await using fast = await Source.with({ uri: database.uri, database: database.name });
    const rest = await fast.readAll(refresh([stream], 1, 1), { state: keptStates(cut) });
    expect(recordsOf(rest)).toHaveLength(1_000 - covered);
    await database.db.dropCollection("c");
    await fill(200);
    const anew = await fast.readAll(refresh([stream], 1, 1), { state: keptStates(cut) });
    expect(recordsOf(anew)).toHaveLength(200);
  });

  test("ignores the position of an earlier incremental read, and the other way round", async () => {
    const { source, fill } = await prepare();
    const stream = await fill("both", 5);
    const incremental = await source.readAll(configured([stream]));
    const full = await source.readAll(refresh([stream], 1, 2), { state: keptStates(incremental) });
    expect(recordsOf(full)).toHaveLength(5);
    expect(statusesOf(full, stream)).toEqual(["STARTED", "RUNNING", "COMPLETE"]);
    const again = await source.readAll(configured([stream]), { state: keptStates(full) });
    expect(recordsOf(again)).toHaveLength(5);
  });
});
