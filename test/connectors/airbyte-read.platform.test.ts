/** Reads of `mongotap airbyte`: of every kind of collection, with every kind of state that a platform may give. */

import { beforeAll, expect, test } from "bun:test";
import { ServerCode } from "../../src/connect/server-errors.ts";
import { failCommand } from "../support/fail-point.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import {
  configured,
  Destination,
  errorOf,
  filled,
  FLAG,
  foundRows,
  keptStates,
  recordsOf,
  Source,
  statusesOf,
} from "./airbyte.ts";

let database: TestDatabase;
let source: Source;

beforeAll(async () => {
  database = await testDatabase();
  source = await Source.with({ uri: database.uri, database: database.name });
});

test("a read takes states with nulls and doubled keys, of streams not read, of streams reset, and keys of the future", async () => {
  const [a = "", b = ""] = await filled(database, ["lenient_a", "lenient_b"]);
  const kept = keptStates(await source.readAll(configured([a, b])));
  await database.db.collection("lenient_a").insertOne({ n: 1 });
  const [ofA, ofB] = kept.map(({ stream }) => stream);
  const withNulls = (stream: unknown): string =>
    `{"type":"STREAM","global_":null,"stream":${JSON.stringify(stream)},"global_":null,"data":null,"sourceStats":null,"destinationStats":null,"global_":null,"later":[1]}`;
  const namespace = { ...ofA, stream_descriptor: { ...ofA?.stream_descriptor, namespace: null } };
  const texts = [
    `[${withNulls(namespace)},${withNulls({ stream_descriptor: { name: "elsewhere.x" }, stream_state: { a: 1 } })}]`,
    `[${withNulls(ofB)},${withNulls(ofA)}]`,
  ];
  for (const state of texts) {
    const messages = await source.readAll(configured([a], { include_files: false, destination_object_name: null }), {
      state,
    });
    expect(recordsOf(messages)).toHaveLength(1);
  }
  for (const state of ["[]", "", "{}", `[${withNulls({ ...ofA, stream_state: null })}]`]) {
    expect(recordsOf(await source.readAll(configured([a]), { state }))).toHaveLength(11);
  }
});

test("a read refuses what is no state of its own: config_error and 3", async () => {
  const [a = ""] = await filled(database, ["foreign"]);
  const foreign = [
    [{ type: "STREAM", stream: { stream_descriptor: { name: a }, stream_state: { lsn: 17 } } }],
    [{ type: "LEGACY", data: { cursor: 17 } }],
    { data: { cursor: 17 } },
  ];
  for (const state of foreign) {
    const { code, messages } = await source.read(configured([a]), { state });
    expect(errorOf(messages)).toMatchObject({ failure_type: "config_error" });
    expect(errorOf(messages).message).toContain("is not one of mongotap");
    expect(code).toBe(3);
  }
});

test("a read of a view and a time series is a copy every time, and a collection goes on beside them", async () => {
  const { db, name, client } = database;
  const [orders = ""] = await filled(database, ["whole_orders"]);
  await db.createCollection("whole_view", { viewOn: "whole_orders", pipeline: [{ $match: { n: { $lt: 4 } } }] });
  await db.createCollection("whole_series", { timeseries: { timeField: "at" } });
  await db.collection("whole_series").insertMany([1, 2, 3].map((n) => ({ at: new Date(n * 1_000), n })));
  const [view, series] = [`${name}.whole_view`, `${name}.whole_series`];
  const catalog = configured([orders, view, series]); // a client may ask for increments of what has none
  const first = await source.readAll(catalog);
  const second = await source.readAll(catalog, { state: keptStates(first) });
  for (const messages of [first, second]) {
    expect(new Destination().load(messages).rows(view)).toEqual(await foundRows(client, view));
    expect(recordsOf(messages, series)).toHaveLength(3);
    for (const stream of [orders, view, series]) expect(statusesOf(messages, stream).at(-1)).toBe("COMPLETE");
  }
  expect(recordsOf(second, orders)).toEqual([]);
});

test("a read of a collection that is dropped and made again has what is there afterwards; the end is logged", async () => {
  const [stream = ""] = await filled(database, ["again"]);
  const first = await source.readAll(configured([stream]));
  await database.db.dropCollection("again");
  await filled(database, ["again"], 3);
  const second = await source.readAll(configured([stream]), { state: keptStates(first) });
  expect(recordsOf(second).map(({ data }) => data._id)).toEqual([0, 1, 2]);
  const warnings = second.flatMap(({ log }) => (log?.level === "WARN" ? [log.message] : []));
  expect(warnings.join("\n")).toContain(`${stream} was dropped`);
  expect(warnings.join("\n")).toContain("cannot show that what came before it is void");
});

test("a read that fails says what it has left out: its states have moved past it", async () => {
  const [stream = "", other = ""] = await filled(database, ["failing", "failing_too"]);
  const kept = keptStates(await source.readAll(configured([stream, other])));
  await database.db.dropCollection("failing");
  const refused = { failCommands: ["getMore"], errorCode: ServerCode.Unauthorized, appName: "mongotap", skip: 1 };
  await using _refused = await failCommand(database.client, refused);
  const { code, messages } = await source.read(configured([stream, other]), { state: kept });
  expect(code).toBe(5);
  expect(messages.some(({ log }) => log?.message.includes(`${stream} was dropped`))).toBe(true);
});

test("a read of a stream that does not exist warns, and reads it when it does", async () => {
  const stream = `${database.name}.later`;
  const first = await source.readAll(configured([stream]));
  expect(first.some(({ log }) => log?.message === `${stream} does not exist: it has no documents to copy`)).toBe(true);
  expect(statusesOf(first, stream)).toEqual(["STARTED", "COMPLETE"]);
  await filled(database, ["later"]);
  const second = await source.readAll(configured([stream]), { state: keptStates(first) });
  expect(recordsOf(second)).toHaveLength(10);
});

test("a read whose history is lost is a config_error with 6, and its hint is one for a platform", async () => {
  const [stream = ""] = await filled(database, ["lost"]);
  const kept = keptStates(await source.readAll(configured([stream])));
  const lost = { failCommands: ["aggregate"], errorCode: ServerCode.ChangeStreamHistoryLost, appName: "mongotap" };
  await using _lost = await failCommand(database.client, lost);
  const { code, messages } = await source.read(configured([stream]), { state: kept });
  const error = errorOf(messages);
  expect(error.failure_type).toBe("config_error");
  expect(error.message).toContain("Refresh or clear the stream in Airbyte");
  expect(error.message).not.toMatch(FLAG);
  expect(statusesOf(messages, stream)).toEqual(["STARTED", "INCOMPLETE"]);
  expect(code).toBe(6);
});

test("a read whose history is lost for one stream names it, reads the others, and ends with 6 at the end", async () => {
  const [old = "", ahead = ""] = await filled(database, ["lost_old", "lost_ahead"]);
  const first = keptStates(await source.readAll(configured([old, ahead])));
  await database.db.collection<{ _id: number }>("lost_ahead").deleteOne({ _id: 1 });
  const kept = keptStates(await source.readAll(configured([ahead]), { state: first }), first);
  await database.db.collection<{ _id: number }>("lost_ahead").deleteOne({ _id: 2 });
  const [added = "", whole = ""] = await filled(database, ["lost_added", "lost_whole"], 3);
  const catalog = {
    streams: [
      ...configured([old, ahead, added]).streams,
      ...configured([whole], { sync_mode: "full_refresh" }).streams,
    ],
  };
  // Only the change stream at the earliest position cannot be opened.
  const lost = { failCommands: ["aggregate"], errorCode: ServerCode.ChangeStreamHistoryLost, appName: "mongotap" };
  await using _lost = await failCommand(database.client, { ...lost, times: 1 });
  const { code, messages } = await source.read(catalog, { state: kept });
  expect(errorOf(messages).message).toStartWith(`the history of ${old} is lost: cannot open the change stream`);
  expect(errorOf(messages).message).not.toContain(ahead);
  expect(code).toBe(6);
  expect(recordsOf(messages, ahead).map(({ data }) => data._id)).toEqual([2]);
  expect([old, added, whole].map((stream) => recordsOf(messages, stream).length)).toEqual([0, 3, 3]);
  expect(statusesOf(messages, old)).toEqual(["STARTED", "INCOMPLETE"]);
  for (const stream of [ahead, added, whole]) expect(statusesOf(messages, stream).at(-1)).toBe("COMPLETE");
  const states = new Set(keptStates(messages).map(({ stream }) => stream?.stream_descriptor.name));
  expect(states).toEqual(new Set([ahead, added, whole]));
});
