/** Where a Singer tap goes on, and when the rows before are void: over several runs. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { must } from "../../src/errors.ts";
import { testDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import {
  type Catalog,
  recordsOf,
  SingerTap,
  type State,
  Target,
  typesOf,
  withMetadata,
  type Doc,
  newTap,
} from "./singer-tap.ts";

let dir: TempDir;

beforeAll(async () => {
  dir = await tempDir();
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

function phaseOf({ bookmarks }: State, id: string): string | undefined {
  return (bookmarks[id]?.["collection"] as { phase?: string } | undefined)?.phase;
}

test("from any earlier STATE has what came after it, once; also from the message as it was printed", async () => {
  const { db, name, tap } = await newTap(dir);
  const collection = db.collection<Doc>("c");
  await collection.insertOne({ _id: 0 });
  const first = await tap.sync();
  const states = first.messages.filter(({ type }) => type === "STATE");
  await collection.insertOne({ _id: 1 });
  const second = await tap.sync({ state: first.state });
  states.push(...second.messages.filter(({ type }) => type === "STATE"));
  await collection.insertOne({ _id: 2 });
  const all = [...first.messages, ...second.messages];
  const [earliest] = states;
  const copied = states.find(({ value }) => phaseOf(value, `${name}_c`) === "live");
  expect(phaseOf(must(earliest, "a STATE").value, `${name}_c`)).toBe("pinned");
  for (const state of [earliest, copied, states.at(-1)]) {
    const before = all.slice(0, all.indexOf(must(state, "a STATE")) + 1);
    const rest = await tap.sync({ state });
    const ids = [...recordsOf(before), ...recordsOf(rest.messages)].map(({ _id }) => _id);
    // Before the copy its changes come first, and then the copy has them too.
    expect(ids).toEqual(state === earliest ? [1, 2, 0, 1, 2] : [0, 1, 2]);
    expect(new Target().load([...before, ...rest.messages]).rows(`${name}_c`)).toHaveLength(3);
  }
});

test("a collection that is dropped or replaced makes its rows void, and later runs go on with the new version", async () => {
  const { db, name, tap } = await newTap(dir);
  const collection = db.collection<Doc>("c");
  await collection.insertMany([{ _id: 1 }, { _id: 2 }]);
  const first = await tap.sync();
  const target = new Target().load(first.messages);
  const versionOf = (messages: typeof first.messages): (number | undefined)[] => [
    ...new Set(messages.filter(({ type }) => type === "RECORD").map(({ version }) => version)),
  ];

  await collection.insertOne({ _id: 3 });
  await collection.drop();
  await collection.insertOne({ _id: 4 });
  const second = await tap.sync({ state: first.state });
  const types = typesOf(second.messages).filter((type) => type !== "STATE");
  expect(types).toEqual(["SCHEMA", "RECORD", "ACTIVATE_VERSION", "RECORD"]);
  const [old, later] = versionOf(second.messages);
  expect([old]).toEqual(versionOf(first.messages));
  expect(second.messages.find(({ type }) => type === "ACTIVATE_VERSION")?.version).toBe(later ?? 0);
  expect(later).toBeGreaterThan(old ?? 0);
  expect(target.load(second.messages).rows(`${name}_c`)).toEqual([{ _id: 4 }]);

  // Targets may have applied the message before records that they had buffered: once more, then no longer.
  await collection.insertOne({ _id: 5 });
  const third = await tap.sync({ state: second.state });
  expect(typesOf(third.messages).filter((type) => type !== "STATE")).toEqual(["SCHEMA", "ACTIVATE_VERSION", "RECORD"]);
  expect(third.messages.find(({ type }) => type === "ACTIVATE_VERSION")?.version).toBe(later ?? 0);
  expect(versionOf(third.messages)).toEqual([later]);
  target.load(third.messages);

  await db.collection<Doc>("source").insertMany([{ _id: 6 }, { _id: 7 }]);
  await db
    .collection("source")
    .aggregate([{ $out: "c" }])
    .toArray();
  const fourth = await tap.sync({ state: third.state, catalog: await onlyStream(tap, `${name}_c`) });
  expect(typesOf(fourth.messages)).toContain("ACTIVATE_VERSION");
  expect(target.load(fourth.messages).rows(`${name}_c`)).toEqual([{ _id: 6 }, { _id: 7 }]);
  expect(versionOf(fourth.messages)[0]).toBeGreaterThan(later ?? 0);
});

test("a stream without changes is copied with each run: from the second on, its end makes the rows before void", async () => {
  const { db, name, tap } = await newTap(dir);
  await db.collection<Doc>("c").insertMany([{ _id: 1 }, { _id: 2 }]);
  await db.createCollection("v", { viewOn: "c", pipeline: [] });
  const id = `${name}_c`;
  const catalog = withMetadata(await tap.discover(), id, { "replication-method": "FULL_TABLE" });
  const first = await tap.sync({ catalog });
  expect(typesOf(first.messages)).not.toContain("ACTIVATE_VERSION");
  expect(Object.keys(first.messages[0]?.schema.properties ?? {})).toEqual(["_id"]);
  const target = new Target().load(first.messages);

  await db.collection<Doc>("c").deleteOne({ _id: 1 });
  const second = await tap.sync({ catalog, state: first.state });
  const ends = second.messages.filter(({ type }) => type === "ACTIVATE_VERSION");
  expect(ends.map(({ stream }) => stream).toSorted()).toEqual([id, `${name}_v`]);
  const lastRecord = second.messages.findLastIndex(({ type }) => type === "RECORD");
  for (const end of ends) expect(second.messages.indexOf(end)).toBeGreaterThan(lastRecord);
  const versions = new Set(second.messages.filter(({ type }) => type === "RECORD").map(({ version }) => version));
  expect(versions).toEqual(new Set(ends.map(({ version }) => version)));
  expect(target.load(second.messages).rows(id)).toEqual([{ _id: 2 }]);

  const always = await SingerTap.with(dir, {
    uri: (await testDatabase()).uri,
    database: name,
    activateVersion: "always",
  });
  const types = typesOf((await always.sync()).messages).filter((type) => type !== "STATE");
  expect(types).toEqual(["SCHEMA", "SCHEMA", "ACTIVATE_VERSION", "RECORD", "RECORD", "ACTIVATE_VERSION"]);
});

test("the rows of a collection that is not found stay: the user may have lost the right to read it", async () => {
  const { db, name, uri, tap } = await newTap(dir);
  const id = `${name}_c`;
  await db.collection<Doc>("c").insertMany([{ _id: 1 }, { _id: 2 }]);
  const changes = await tap.discover();
  const whole = withMetadata(changes, id, { "replication-method": "FULL_TABLE" });
  const first = await tap.sync({ catalog: whole });
  await db.collection("c").drop();
  const gone = await tap.sync({ catalog: whole, state: first.state });
  expect(gone.stderr).toContain(`${name}.c does not exist`);
  const always = await SingerTap.with(dir, { uri, database: name, activateVersion: "always" });
  const others = [await always.sync({ catalog: whole }), await always.sync({ catalog: changes })];
  const messages = [gone, ...others].flatMap((run) => run.messages);
  expect(new Set(typesOf(messages))).toEqual(new Set(["SCHEMA", "STATE"]));
  expect(new Target().load([...first.messages, ...messages]).rows(id)).toHaveLength(2);
});

async function onlyStream(tap: SingerTap, id: string): Promise<Catalog> {
  const { streams } = await tap.discover();
  return { streams: streams.filter(({ tap_stream_id: each }) => each === id) };
}
