/** What `--limit` reads, and what it saves. The number of lines is tested with each command. */
import { expect, test } from "bun:test";
import { documents } from "../support/documents.ts";
import { batch, collectionOf, insertAt, after, MOCK_NOW, opened, startMockServer } from "../support/mock-server.ts";
import { testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { linesIn, tapAt, textLinesOf } from "./tap.ts";

const IDS = Array.from({ length: 5_000 }, (_, i) => i);

test("a backfill of 10 documents asks for them with one read, and for no more than one besides", async () => {
  await using server = await startMockServer({ on: { find: collectionOf(IDS) } });
  const { stdout } = await tapAt(server.uri).expect(0, ["backfill", "shop.orders", "--limit", "10"]);
  expect(textLinesOf(stdout)).toHaveLength(10);
  const finds = server.commands.filter(({ name }) => name === "find").map(({ command }) => command["batchSize"]);
  expect(finds).toEqual([11]);
});

test("a capture of 10 lines asks for 10 documents, and leaves out those for which events have taken the place", async () => {
  await using dir = await tempDir();
  const event = insertAt(after(MOCK_NOW, 1), { _id: -1 });
  await using server = await startMockServer({
    on: {
      aggregate: () => opened(),
      getMore: (_, count) =>
        count === 1 ? batch([event], { postBatchResumeToken: event["_id"] }) : { ...opened(after(MOCK_NOW, 50)) },
      find: collectionOf(IDS, after(MOCK_NOW, 20)),
    },
  });
  const args = ["capture", "shop.orders", "--out", dir.join("out"), "--state", dir.join("state")];
  await tapAt(server.uri).expect(0, [...args, "--limit", "10"]);
  expect((await linesIn(dir.join("out"))).map(({ _id }) => _id)).toEqual([-1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const finds = server.commands.filter(({ name }) => name === "find").map(({ command }) => command["batchSize"]);
  expect(finds).toEqual([11]);
});

test("captures of any limit, one after the other, read each document once", async () => {
  const { db, name, uri } = await testDatabase();
  await db.collection("a").insertMany([...documents("small", 40)]);
  await db.collection("b").insertMany([...documents("small", 10)]);
  await using dir = await tempDir();
  const args = ["capture", name, "--out", dir.join("out"), "--state", dir.join("state"), "--until", "caught-up"];
  for (const limit of [7, 1, 29, 5]) await tapAt(uri).expect(12, [...args, "--limit", String(limit)]);
  await tapAt(uri).expect(0, args);
  const lines = await linesIn(dir.join("out"));
  expect(lines).toHaveLength(50);
  const keys = lines.map(({ _id, _meta }) => `${_meta?.source.collection} ${JSON.stringify(_id)}`);
  expect(new Set(keys).size).toBe(50);
});

test("a backfill of a view on a state that was limited is not saved as complete: the next run reads it all", async () => {
  const { db, name, uri } = await testDatabase();
  await db.collection("orders").insertMany([...documents("small", 30)]);
  await db.createCollection("view", { viewOn: "orders", pipeline: [] });
  await using dir = await tempDir();
  const args = ["backfill", `${name}.view`, "--out", dir.join("out"), "--state", dir.join("state")];
  await tapAt(uri).expect(12, [...args, "--limit", "10"]);
  await tapAt(uri).expect(0, args);
  expect(await linesIn(dir.join("out"))).toHaveLength(30);
});
