/** `newestOnly`: of each document one record in each read, for clients that load several of one key in any order. */

import { beforeAll, describe, expect, test } from "bun:test";
import { ServerCode } from "../../src/connect/server-errors.ts";
import { documents } from "../support/documents.ts";
import { failCommand } from "../support/fail-point.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import {
  configured,
  Destination,
  errorOf,
  filled,
  foundRows,
  keptStates,
  type Message,
  messagesOf,
  recordsOf,
  Source,
  statusesOf,
  wholeMessagesOf,
} from "./airbyte.ts";

let database: TestDatabase;
let source: Source;

beforeAll(async () => {
  database = await testDatabase();
  source = await Source.with({ uri: database.uri, database: database.name, newestOnly: true });
});

function expectOneOfEach(messages: readonly Message[]): void {
  const keys = recordsOf(messages).map(({ stream, data }) => `${stream} ${JSON.stringify(data._id)}`);
  expect(keys.length).toBe(new Set(keys).size);
}

test("each read has one record of a document, and all reads together what is there", async () => {
  const random = randomFor("airbyte newest");
  const [a = "", b = ""] = await filled(database, ["newest_a", "newest_b"], 50);
  const destination = new Destination();
  let states: unknown = [];
  for (let round = 0; round < 5; round += 1) {
    const messages = await source.readAll(configured([a, b]), { state: states });
    expectOneOfEach(messages);
    destination.load(messages);
    states = keptStates(messages);
    for (const name of ["newest_a", "newest_b"]) {
      const collection = database.db.collection<{ _id: number; n?: number }>(name);
      for (let i = 0; i < 120; i += 1) {
        const _id = random.whole(70);
        if (random.whole(4) === 0) await collection.deleteOne({ _id });
        else await collection.updateOne({ _id }, { $set: { n: random.whole(1_000) } }, { upsert: true });
      }
    }
  }
  const last = await source.readAll(configured([a, b]), { state: states });
  expectOneOfEach(last);
  destination.load(last);
  for (const stream of [a, b]) expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
});

test("thousands of updates of a few documents are one record each, also where a reply has none of them", async () => {
  const [stream = ""] = await filled(database, ["newest_hot"], 5);
  const collection = database.db.collection<{ _id: number; n?: number }>("newest_hot");
  const first = await source.readAll(configured([stream]));
  const updates = Array.from({ length: 5_000 }, (_, n) => ({
    updateOne: { filter: { _id: n % 5 }, update: { $set: { n } } },
  }));
  await collection.bulkWrite(updates, { ordered: true });
  const second = await source.readAll(configured([stream]), { state: keptStates(first) });
  expect(recordsOf(second)).toHaveLength(5);
  const rows = new Destination().load(first).load(second).rows(stream);
  expect(rows).toEqual(await foundRows(database.client, stream));
});

test("changes during the first copy come with the next read, once", async () => {
  const [stream = ""] = await filled(database, ["newest_busy"], 2_000);
  const collection = database.db.collection<{ _id: number; n?: number }>("newest_busy");
  const stop = new AbortController();
  const writing = (async () => {
    for (let n = 0; !stop.signal.aborted; n += 1) await collection.updateOne({ _id: n % 7 }, { $set: { n } });
  })();
  const first = await source.readAll(configured([stream]), { state: [] });
  stop.abort();
  await writing;
  expectOneOfEach(first);
  expect(recordsOf(first)).toHaveLength(2_000);
  const second = await source.readAll(configured([stream]), { state: keptStates(first) });
  expectOneOfEach(second);
  const rows = new Destination().load(first).load(second).rows(stream);
  expect(rows).toEqual(await foundRows(database.client, stream));
});

test("a stream that is new, and one that was left out of a read, go on beside the others", async () => {
  const [a = "", b = ""] = await filled(database, ["newest_old", "newest_new"], 5);
  const destination = new Destination();
  const first = await source.readAll(configured([a]), { state: [] });
  await database.db.collection<{ _id: number }>("newest_old").deleteOne({ _id: 1 });
  const second = await source.readAll(configured([a, b]), { state: keptStates(first) });
  await database.db.collection<{ _id: number }>("newest_new").deleteOne({ _id: 2 });
  const third = await source.readAll(configured([b]), { state: keptStates(second, keptStates(first)) });
  await database.db.collection<{ _id: number }>("newest_old").insertOne({ _id: 1 });
  const kept = keptStates(third, keptStates(second, keptStates(first)));
  const fourth = await source.readAll(configured([a, b]), { state: kept });
  for (const messages of [first, second, third, fourth]) {
    expectOneOfEach(messages);
    destination.load(messages);
  }
  expect(recordsOf(third).map(({ data }) => data._id)).toEqual([2]);
  expect(recordsOf(fourth).map(({ data }) => data._id)).toEqual([1]);
  for (const stream of [a, b]) expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
});

test("a copy that is interrupted goes on where its last state is", async () => {
  const [stream = ""] = await filled(database, ["newest_cut"], 3_000);
  await using running = await source.startRead(configured([stream]), []);
  await running.waitForLine((line) => line.includes('"RECORD"'));
  running.kill("SIGKILL");
  const first = wholeMessagesOf((await running.done).stdout);
  await database.db.collection<{ _id: number }>("newest_cut").deleteOne({ _id: 0 });
  const second = await source.readAll(configured([stream]), { state: keptStates(first) });
  const third = await source.readAll(configured([stream]), { state: keptStates(second, keptStates(first)) });
  const destination = new Destination();
  for (const messages of [first, second, third]) {
    expectOneOfEach(messages);
    destination.load(messages);
  }
  expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
});

test("a copy that goes on and fails at once keeps how far it had come", async () => {
  await database.db.collection("newest_kept").insertMany([...documents("typical", 3_000)]);
  const stream = `${database.name}.newest_kept`;
  const config = { uri: database.uri, database: database.name, newestOnly: true, rateLimit: "500KB", maxMemory: "1MB" };
  await using slow = await Source.with(config);
  await using running = await slow.startRead(configured([stream]), []);
  await running.waitForLine((line) => line.includes('"RECORD"'));
  running.kill("SIGTERM");
  const first = messagesOf((await running.done).stdout);
  expect(recordsOf(first).length).toBeWithin(1, 3_000);
  const second = await (async () => {
    const refused = { failCommands: ["find"], errorCode: ServerCode.Unauthorized, appName: "mongotap" };
    await using _refused = await failCommand(database.client, refused);
    return await source.read(configured([stream]), { state: keptStates(first) });
  })();
  expect([second.code, recordsOf(second.messages)]).toEqual([5, []]);
  const third = await source.readAll(configured([stream]), { state: keptStates(second.messages, keptStates(first)) });
  expectOneOfEach([...first, ...third]);
  expect(recordsOf([...first, ...third])).toHaveLength(3_000);
});

describe("a read whose history is lost", () => {
  const LOST = { failCommands: ["aggregate"], errorCode: ServerCode.ChangeStreamHistoryLost, appName: "mongotap" };

  async function copied(collection: string, onHistoryLost: string) {
    const [stream = ""] = await filled(database, [collection], 5);
    const tap = await Source.with({ uri: database.uri, database: database.name, newestOnly: true, onHistoryLost });
    const kept = keptStates(await tap.readAll(configured([stream])));
    await database.db.collection<{ _id: number }>(collection).deleteOne({ _id: 1 });
    return { tap, stream, kept };
  }

  test("fail: it ends with 6, keeps the state, and so do later ones", async () => {
    const { tap, stream, kept } = await copied("newest_fail", "fail");
    await using _lost = await failCommand(database.client, LOST);
    for (let read = 0; read < 2; read += 1) {
      const { code, messages } = await tap.read(configured([stream]), { state: kept });
      expect(code).toBe(6);
      expect(keptStates(messages)).toEqual([]);
    }
  });

  test("next-run: it ends with 6, and the next one copies again, then come the changes", async () => {
    const { tap, stream, kept } = await copied("newest_next", "next-run");
    let state: unknown = kept;
    {
      await using _lost = await failCommand(database.client, LOST);
      const { code, messages } = await tap.read(configured([stream]), { state });
      expect([code, recordsOf(messages)]).toEqual([6, []]);
      state = keptStates(messages);
    }
    const again = await tap.readAll(configured([stream]), { state });
    expectOneOfEach(again);
    const destination = new Destination().load(again);
    expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
    await database.db.collection<{ _id: number }>("newest_next").deleteOne({ _id: 2 });
    const changes = await tap.readAll(configured([stream]), { state: keptStates(again) });
    expect(recordsOf(changes).map(({ data }) => data._id)).toEqual([2]);
  });

  test("now: it copies again and ends with 0", async () => {
    const { tap, stream, kept } = await copied("newest_now", "now");
    await using _lost = await failCommand(database.client, { ...LOST, times: 1 });
    const messages = await tap.readAll(configured([stream]), { state: kept });
    expectOneOfEach(messages);
    expect(messages.some(({ log }) => log?.level === "WARN" && log.message.endsWith("; copying again"))).toBe(true);
    expect(new Destination().load(messages).rows(stream)).toEqual(await foundRows(database.client, stream));
  });

  test.each(["next-run", "now"])("%s: only the streams whose history is lost are copied again", async (policy) => {
    const name = `newest_part_${policy.slice(0, 3)}`;
    const { tap, stream: old, kept } = await copied(name, policy);
    const [ahead = ""] = await filled(database, [`${name}_ahead`], 5);
    const both = keptStates(await tap.readAll(configured([ahead]), { state: kept }), kept);
    await database.db.collection<{ _id: number }>(`${name}_ahead`).deleteOne({ _id: 2 });
    const all: Message[] = [];
    {
      await using _lost = await failCommand(database.client, { ...LOST, times: 1 });
      const { code, messages } = await tap.read(configured([old, ahead]), { state: both });
      expect(code).toBe(policy === "now" ? 0 : 6);
      expect(recordsOf(messages, ahead).map(({ data }) => data._id)).toEqual([2]);
      expect(statusesOf(messages, ahead).at(-1)).toBe("COMPLETE");
      all.push(...messages);
    }
    if (policy !== "now") expect(errorOf(all).message).toStartWith(`the history of ${old} is lost`);
    all.push(...(await tap.readAll(configured([old, ahead]), { state: keptStates(all, both) })));
    expect(recordsOf(all, ahead)).toHaveLength(1);
    expect(new Destination().load(all).rows(old)).toEqual(await foundRows(database.client, old));
  });

  test("the fourth time in a row it ends with 6, says that the oplog is too small, and keeps the state", async () => {
    const { tap, stream, kept } = await copied("newest_again", "next-run");
    let state: unknown = kept;
    for (let loss = 1; loss <= 3; loss += 1) {
      const first = await failing(tap, stream, state);
      expect(first.code).toBe(6);
      state = keptStates(await tap.readAll(configured([stream]), { state: keptStates(first.messages) }));
    }
    const { code, messages } = await failing(tap, stream, state);
    expect([code, keptStates(messages)]).toEqual([6, []]);
    expect(errorOf(messages).message).toContain("the 4th loss in a row");
  });

  async function failing(tap: Source, stream: string, state: unknown) {
    await using _lost = await failCommand(database.client, LOST);
    return await tap.read(configured([stream]), { state });
  }
});
