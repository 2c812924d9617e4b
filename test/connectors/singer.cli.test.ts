/** `mongotap singer` from outside: what it prints, what it reads, how it ends. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { symlink } from "node:fs/promises";
import { Decimal128, Double, Long } from "mongodb";
import { isIdle, openPipe } from "../cli/pipe.ts";
import { textLinesOf } from "../cli/tap.ts";
import { CANARY, run } from "../support/cli.ts";
import { commandUnderTest } from "../support/command.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { recordsOf, SingerTap, syncedOf, Target, typesOf, withMetadata, type Doc, newTap } from "./singer-tap.ts";

let dir: TempDir;

beforeAll(async () => {
  dir = await tempDir();
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

test("--about says what it can do and what it takes, as JSON and as Markdown", async () => {
  const json = await run(["singer", "--about", "--format=json"]);
  const about = JSON.parse(json.stdout) as Record<string, unknown>;
  expect(about).toMatchObject({
    name: "tap-mongotap",
    capabilities: ["about", "catalog", "discover", "log-based", "properties", "state"],
    settings: { properties: { uri: { type: "string", secret: true }, columns: { default: "fields" } } },
  });
  const markdown = await run(["singer", "--about", "--format", "markdown"]);
  expect(markdown.stdout).toStartWith("# `tap-mongotap`\n");
  expect(markdown.stdout).toContain("\n* `log-based`\n");
  expect(markdown.stdout).toMatch(/^\| `uri` \| .+ \|$/m);
});

describe("--discover", () => {
  test("wins over --catalog, and neither unknown flags nor the variables of a runner change what it prints", async () => {
    const { db, name, tap } = await newTap(dir);
    await db.collection<Doc>("orders").insertMany([{ _id: 1, "a.b": 1, in: { x: 1, "y-z": 2 } }]);
    await db.createCollection("recent", { viewOn: "orders", pipeline: [] });
    const env = {
      MONGOTAP_URI: "nonsense",
      MONGOTAP_DATABASE: "other",
      MONGOTAP__SELECT: '["*.*"]',
      MONGOTAP_SPLIT: "nonsense",
      MONGOTAP_LOG_LEVEL: "nonsense",
      MELTANO_PROJECT_ROOT: "/",
    };
    const args = [
      "--catalog",
      dir.join("missing.json"),
      "--state",
      dir.join("missing.json"),
      "--unknown",
      "x",
      "--y=1",
    ];
    const { streams } = await tap.discover(args, { env });
    const [orders, recent] = streams;
    expect(streams.map(({ tap_stream_id: id }) => id)).toEqual([`${name}_orders`, `${name}_recent`]);
    expect([orders?.["key_properties"], recent?.["key_properties"]]).toEqual([["_id"], []]);
    const metadata = new Map(orders?.metadata.map(({ breadcrumb, metadata: each }) => [breadcrumb.join("/"), each]));
    expect(metadata.get("")).toMatchObject({
      "forced-replication-method": "LOG_BASED",
      "table-key-properties": ["_id"],
    });
    expect(metadata.get("properties/_id")).toEqual({ inclusion: "automatic" });
    const fields = ["properties/a.b", "properties/in", "properties/in/properties/x", "properties/in/properties/y-z"];
    for (const field of fields) {
      expect(metadata.get(field)).toEqual({ inclusion: "available", "selected-by-default": true });
    }
    expect(recent?.metadata[0]?.metadata).toMatchObject({ "forced-replication-method": "FULL_TABLE" });
  });

  test("without a config, a server or a password that is right: one line each, and no secret", async () => {
    const none = await run(["singer", "--discover"]);
    expect([none.code, none.stdout]).toEqual([2, ""]);
    expect(none.stderr).toContain("singer needs --config FILE");
    const { uri } = await testDatabase();
    const tap = await SingerTap.with(dir, { address: uri, user: "u", password: CANARY, database: "shop" });
    const refused = await tap.run(["--discover"]);
    expect([refused.code, refused.stdout]).toEqual([5, ""]);
    expect(textLinesOf(refused.stderr).length).toBeLessThanOrEqual(2);
  });
});

describe("a run", () => {
  test("without a catalog reads everything; the next ones read what has changed, deletions too", async () => {
    const { db, name, tap } = await newTap(dir);
    const orders = db.collection<Doc>("orders");
    await orders.insertMany([1, 2, 3].map((_id) => ({ _id, n: _id })));
    await db.collection<Doc>("users").insertMany([{ _id: "a" }, { _id: "b" }]);
    const [id, users] = [`${name}_orders`, `${name}_users`];

    const first = await tap.sync();
    expect(typesOf(first.messages).slice(0, 2)).toEqual(["SCHEMA", "SCHEMA"]);
    expect(typesOf(first.messages).at(-1)).toBe("STATE");
    expect(typesOf(first.messages)).not.toContain("ACTIVATE_VERSION");
    expect(recordsOf(first.messages)).toHaveLength(5);
    const target = new Target().load(first.messages);

    const nothing = await tap.sync({ state: first.state });
    expect(new Set(typesOf(nothing.messages))).toEqual(new Set(["SCHEMA", "STATE"]));
    expect(typesOf(nothing.messages).at(-1)).toBe("STATE");
    target.load(nothing.messages);

    await orders.insertOne({ _id: 4, n: 4 });
    await orders.updateOne({ _id: 1 }, { $set: { n: 10 } });
    await orders.deleteOne({ _id: 2 });
    const third = await tap.sync({ state: nothing.state });
    for (const { messages } of [first, nothing, third]) expect(messages.at(-2)).not.toEqual(messages.at(-1));
    expect(recordsOf(third.messages, id).map(({ _id }) => _id)).toEqual([4, 1, 2]);
    expect(recordsOf(third.messages, users)).toEqual([]);
    target.load(third.messages);
    expect(target.rows(id)).toEqual(await orders.find().sort({ _id: 1 }).toArray());
    expect(target.rows(users)).toEqual([{ _id: "a" }, { _id: "b" }]);
    expect(target.deleted(id)).toEqual([
      { _id: 2, _sdc_deleted_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string },
    ]);
  });

  test("reads the selected streams and fields alone, and keeps the bookmarks of the others", async () => {
    const { db, name, tap } = await newTap(dir);
    const document = {
      _id: 1,
      n: 1,
      "a.b": "odd",
      "a-b": "odd",
      "": "odd",
      secret: { x: 1 },
      in: { keep: 1, drop: 2 },
    };
    await db.collection<Doc>("orders").insertOne(document);
    await db.collection<Doc>("users").insertOne({ _id: 1 });
    const [id, users] = [`${name}_orders`, `${name}_users`];
    const catalog = await tap.discover();
    const whole = await tap.sync({ catalog });
    expect(recordsOf(whole.messages, id)).toEqual([{ ...document, _sdc_deleted_at: null }]);

    const unwanted = ["_id", "a.b", "a-b", "", "secret", "in/drop"].map((path) => [path, { selected: false }] as const);
    const fields = withMetadata(catalog, id, { selected: true }, new Map(unwanted));
    const selected = withMetadata(fields, users, { selected: false });
    await db.collection<Doc>("orders").insertOne({ ...document, _id: 2, unseen: "perhaps a secret" });
    await db.collection<Doc>("users").insertOne({ _id: 2 });
    const part = await tap.sync({ properties: selected, state: whole.state });
    const [schema] = part.messages;
    expect(Object.keys(schema?.schema.properties ?? {})).toEqual(["_id", "in", "n", "_sdc_deleted_at"]);
    expect(recordsOf(part.messages)).toEqual([{ _id: 2, in: { keep: 1 }, n: 1, _sdc_deleted_at: null }]);
    expect(part.stderr).toContain(
      "some fields are not selected, so those that the catalog does not have are left out too",
    );
    expect(part.state.bookmarks[users]).toEqual(whole.state.bookmarks[users]);

    // The streams have different positions now, and each goes on from its own.
    await db.collection<Doc>("users").insertOne({ _id: 3 });
    const both = await tap.sync({ catalog, state: part.state });
    expect(recordsOf(both.messages).map(({ _id }) => _id)).toEqual([2, 3]);
    expect(new Target().load([...whole.messages, ...both.messages]).rows(users)).toHaveLength(3);
    expect(both.state.bookmarks[id]?.["stream"]).toEqual(both.state.bookmarks[users]?.["stream"]);
  });

  test("ends with 2 and one line for a replication method, a stream or a state that it cannot use", async () => {
    const { db, name, uri, tap } = await newTap(dir);
    await db.collection<Doc>("c").insertOne({ _id: 1 });
    const catalog = withMetadata(await tap.discover(), `${name}_c`, { "replication-method": "INCREMENTAL" });
    const incremental = await tap.sync({ catalog }, 2);
    expect(incremental.stdout).toBe("");
    expect(textLinesOf(incremental.stderr)).toEqual([
      expect.stringContaining(`the stream ${name}_c has the replication method "INCREMENTAL"`) as string,
      expect.stringContaining("Choose LOG_BASED (changes) or FULL_TABLE.") as string,
    ]);
    const none = await tap.sync({ catalog: withMetadata(await tap.discover(), `${name}_c`, { selected: false }) });
    expect(textLinesOf(none.stderr)).toEqual([
      expect.stringContaining("no stream is selected: nothing is read") as string,
    ]);
    const excluding = await SingerTap.with(dir, { uri, database: name, exclude: `${name}.other,${name}.c` });
    const excluded = await excluding.sync({ catalog: await tap.discover() }, 2);
    expect(excluded.stderr).toContain(`: ${name}.c is selected, and the config excludes it`);
    const foreign = await tap.sync({ state: { bookmarks: { [`${name}_c`]: { oplog_ts_time: 1 } } } }, 3);
    expect(foreign.stderr).toContain(`the state of the stream ${name}_c is not one of mongotap`);
  });
});

test("values are exact, and every record is valid for the schema that discover has made of them", async () => {
  const { db, name, tap } = await newTap(dir);
  const date = (year: number): Date => new Date(Date.UTC(2000, 0, 1) + (year - 2000) * 365.2425 * 86_400_000);
  await db.collection<{ _id: unknown; [field: string]: unknown }>("c").insertMany([
    { _id: 1, long: Long.MAX_VALUE, decimal: Decimal128.fromString("1E+300"), double: new Double(1), at: date(2026) },
    { _id: 2, long: Long.MIN_VALUE, decimal: Decimal128.fromString("0.10"), double: Number.NaN, at: date(9000) },
    { _id: "3", long: 1, decimal: Decimal128.fromString("NaN"), double: Number.NEGATIVE_INFINITY, odd: date(10_000) },
    { _id: { nested: 1 }, long: null, double: 1e300, odd: date(0), mixed: [1, "2", { x: [] }] },
    { _id: 5, odd: "no date", mixed: "text" },
  ]);
  const catalog = await tap.discover();
  await db.collection<Doc>("c").insertOne({ _id: 6, unseen: 1 });
  const { messages, stdout } = await tap.sync({ catalog });
  expect(new Target().load(messages).rows(`${name}_c`)).toHaveLength(6);
  // What discovery has not seen is sent all the same: the target decides.
  expect(recordsOf(messages)).toContainEqual({ _id: 6, unseen: 1, _sdc_deleted_at: null });
  expect(stdout).toContain('"long":9223372036854775807,');
  expect(stdout).toContain('"long":-9223372036854775808,');
  expect(messages[0]?.schema.properties["at"]).toEqual({ type: ["null", "string"], format: "date-time" } as never);
  expect(messages[0]?.schema.properties["odd"]?.format).toBeUndefined();
});

describe("how a run ends", () => {
  /** More than a pipe, our buffers and a reply of the server hold together, so that nothing ends by itself. */
  const MANY = 60_000;
  let many: TestDatabase & { tap: SingerTap };

  beforeAll(async () => {
    many = await newTap(dir);
    await many.db.collection("many").insertMany([...documents("small", MANY)], { writeConcern: { w: 1 } });
  });

  test("SIGTERM: by that signal, and the last STATE covers every record", async () => {
    await using stopped = await many.tap.start();
    await stopped.waitForLine((line) => line.includes('"RECORD"'));
    stopped.kill("SIGTERM");
    const { signal, stdout } = await stopped.done;
    expect(signal).toBe("SIGTERM");
    const cut = syncedOf(stdout);
    expect(typesOf(cut.messages).at(-1)).toBe("STATE");
    expect(recordsOf(cut.messages).length).toBeLessThan(MANY);
    const rest = await many.tap.sync({ state: cut.state });
    expect(recordsOf(cut.messages).length + recordsOf(rest.messages).length).toBe(MANY);
    expect(new Target().load([...cut.messages, ...rest.messages]).rows(`${many.name}_many`)).toHaveLength(MANY);
  });

  test.each(["records", "schemas"])("SIGTERM while nobody reads %s: at once, by that signal", async (what) => {
    const { db, tap } = await newTap(dir);
    if (what === "schemas") {
      // More than a pipe holds.
      const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`a field with the number ${i}`, i]));
      for (const name of ["a", "b", "c"]) await db.collection(name).insertOne({ ...wide });
    }
    await using pipe = await openPipe();
    await using stuck = await (what === "schemas" ? tap : many.tap).start({}, { stdout: pipe.writer });
    pipe.handOver();
    await waitFor(() => pipe.read(1_000) !== "", { what: "the first line" });
    await isIdle(stuck.pid);
    stuck.kill("SIGTERM");
    const { signal } = await stuck.done;
    expect(signal).toBe("SIGTERM");
  });

  test("a reader that is gone: 141, and no error on stderr", async () => {
    await using piped = await many.tap.start();
    await piped.waitForLine((line) => line.includes('"RECORD"'));
    piped.closeStdout();
    const { code, stderr } = await piped.done;
    expect({ code, stderr }).toEqual({ code: 141, stderr: expect.not.stringContaining("rror") as string });
  });
});

const { program, args } = commandUnderTest();
if (args.length === 0) {
  test("a link with the name tap-mongotap is the tap", async () => {
    const link = dir.join("tap-mongotap");
    await symlink(program, link);
    const { stdout, status } = spawnSync(link, ["--about"], { encoding: "utf8" });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: "tap-mongotap" });
  });
}

test("a run that is stopped before it has a connection ends by that signal", async () => {
  const tap = await SingerTap.with(dir, { uri: "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=60000" });
  await using waiting = await tap.start({ args: ["--discover"] });
  await isIdle(waiting.pid);
  waiting.kill("SIGTERM");
  expect((await waiting.done).signal).toBe("SIGTERM");
});
