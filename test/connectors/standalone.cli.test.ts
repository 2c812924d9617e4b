/** Connectors on a server without change streams: what it holds can be read, its changes cannot. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Document, MongoClient } from "mongodb";
import { type Standalone, startStandalone } from "../../scripts/mongod.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { configured, errorOf, recordsOf, Source } from "./airbyte.ts";
import { lastLog } from "./flow-content.ts";
import { bindingRequests, FlowCapture } from "./flow-runtime.ts";
import { recordsOf as singerRecordsOf, SingerTap, withMetadata } from "./singer-tap.ts";

interface Doc extends Document {
  readonly _id: number;
}

let server: Standalone;
let dir: TempDir;

beforeAll(async () => {
  dir = await tempDir();
  server = await startStandalone();
  await using client = await MongoClient.connect(server.uri);
  const db = client.db("shop");
  await db.collection<Doc>("orders").insertMany([{ _id: 1 }, { _id: 2 }]);
  await db.createCollection("some", { viewOn: "orders", pipeline: [{ $match: { _id: 1 } }] });
  await db.createCollection("series", { timeseries: { timeField: "at" } });
  await db.collection("series").insertOne({ at: new Date(), n: 1 });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const STREAMS = ["shop.orders", "shop.some", "shop.series"];

test("airbyte: increments of a collection are refused before anything is sent; a view beside it is none", async () => {
  await using source = await Source.with({ uri: server.uri, database: "shop" });
  const { code, messages } = await source.read(configured(STREAMS));
  expect(errorOf(messages).message).toContain("this server is standalone");
  expect(errorOf(messages).message).toContain("rs.initiate()");
  expect([code, recordsOf(messages)]).toEqual([10, []]);
  const ofView = await source.readAll(configured(["shop.some"]));
  expect(recordsOf(ofView)).toHaveLength(1);
  const logs = ofView.flatMap(({ log }) => (log === undefined ? [] : [`${log.level} ${log.message}`]));
  expect(logs).toEqual([
    "WARN shop.some has no changes to read: it is copied as a whole with each run",
    "INFO shop.some is a view: if the connection breaks, the run ends, and the next one copies it from the beginning",
    expect.stringMatching(/^INFO sent 1 document \(\d+ B\) in \d+\.\d s$/) as string,
  ]);
});

test.each([1, 2])("airbyte: a full refresh has the time of the clock (%d workers)", async (workers) => {
  await using source = await Source.with({ uri: server.uri, database: "shop", workers });
  const before = new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString();
  const records = recordsOf(await source.readAll(configured(STREAMS, { sync_mode: "full_refresh" })));
  expect(records).toHaveLength(4);
  for (const { data } of records) {
    expect([data["_ab_cdc_updated_at"] as string, before].toSorted()[0]).toBe(before);
    expect(data._ab_cdc_cursor).not.toStartWith("00000000");
  }
});

test("singer: a catalog of a replica set is refused; what discover says here is read, with the time of the clock", async () => {
  const tap = await SingerTap.with(dir, { uri: server.uri, database: "shop" });
  const catalog = await tap.discover();
  const before = new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString();
  const { messages } = await tap.sync({ catalog });
  expect(singerRecordsOf(messages)).toHaveLength(4);
  for (const { type, time_extracted: time } of messages)
    if (type === "RECORD") expect([time, before].toSorted()[0]).toBe(before);
  const method = { "replication-method": "LOG_BASED", "forced-replication-method": "LOG_BASED" };
  const { stdout, stderr } = await tap.sync({ catalog: withMetadata(catalog, "shop_orders", method) }, 10);
  expect(stdout).toBe("");
  expect(stderr).toContain("rs.initiate()");
});

test("flow: discover, validate and a capture fail alike, and no answer looks like an empty database", async () => {
  const capture = new FlowCapture({ config: { uri: server.uri, database: "shop" } });
  const { config } = capture.options;
  const bound = [{ database: "shop", collection: "orders" }];
  await using session = await capture.open(bound);
  const ends = [
    await capture.run({ discover: { config } }),
    await capture.run({ validate: { config, bindings: bindingRequests(bound, false) } }),
    await session.ended(),
  ];
  for (const { code, stderr, stdout } of ends) {
    expect(code).toBe(10);
    expect(stdout).not.toContain('"discovered"');
    expect(stderr).not.toMatch(/0 documents|0 of 0|backfill/);
    expect(lastLog(stderr)).toMatchObject({
      message: "this server is standalone: change streams need a replica set or a sharded cluster",
      hint: "Start mongod with --replSet and run rs.initiate(); a set of one member is enough.",
    });
  }
});
