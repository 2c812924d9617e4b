/** `mongotap airbyte` with what its platform gives to it: spec, check, discover, and reads without and with changes. */

import { beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { Ajv } from "ajv";
import { startReplicaSet, startStandalone } from "../../scripts/mongod.ts";
import { EVERY_TYPE } from "../../src/discover/streams.ts";
import { isIdle, openPipe } from "../cli/pipe.ts";
import { CANARY, run } from "../support/cli.ts";
import { commandUnderTest } from "../support/command.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { waitFor } from "../support/wait.ts";
import {
  configured,
  Destination,
  errorOf,
  filled,
  FLAG,
  foundRows,
  isCopied,
  keptStates,
  type Message,
  messagesOf,
  recordsOf,
  Source,
  statesOf,
  statusesOf,
} from "./airbyte.ts";

interface Property {
  readonly type?: string;
  readonly airbyte_secret?: boolean;
  readonly properties?: Readonly<Record<string, Property>>;
}

/** With its paths, every property of a spec. */
function propertiesOf(schema: Property, path = ""): [string, Property][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]): [string, Property][] => {
    const at = `${path}${name}`;
    return [[at, property], ...propertiesOf(property, `${at}.`)];
  });
}

async function specification(): Promise<{ connectionSpecification: Property; [key: string]: unknown }> {
  const { stdout, code } = await run(["airbyte", "spec"]);
  expect(code).toBe(0);
  const [message, ...more] = messagesOf(stdout);
  expect(more).toEqual([]);
  return message?.spec as { connectionSpecification: Property };
}

describe("spec", () => {
  test("is one message with a JSON Schema of draft 7, in which every secret is marked", async () => {
    const { connectionSpecification: schema, ...spec } = await specification();
    expect(spec["documentationUrl"]).toStartWith("https://");
    const ajv = new Ajv({ strict: false, allErrors: true });
    expect(ajv.validateSchema(schema)).toBe(true);
    const secrets = propertiesOf(schema).flatMap(([path, { airbyte_secret: is }]) => (is === true ? [path] : []));
    expect(secrets).toEqual(["uri", "password", "networkTunnel.sshForwarding.privateKey"]);
  });

  test("accepts the configs that the connector accepts, and keys that it does not know", async () => {
    const { connectionSpecification: schema } = await specification();
    const check = new Ajv({ strict: false }).compile(schema);
    const address = { address: "db.example.com:27017", user: "u", password: "p" };
    const tunnel = { sshForwarding: { sshEndpoint: "ssh://me@bastion", privateKey: "-----BEGIN" } };
    for (const config of [
      { uri: "mongodb://localhost/", database: "shop" },
      { ...address, networkTunnel: tunnel, columns: "data", newestOnly: true, stateType: "global", workers: 2 },
      { uri: "mongodb://localhost/", sops: { mac: "…" } },
    ])
      expect([check(config), check.errors]).toEqual([true, null]);
    expect(check({ uri: "mongodb://localhost/", columns: "some" })).toBe(false);
  });
});

describe("what cannot be run", () => {
  test.each([
    [["frobnicate"], 'airbyte has no command "frobnicate": it has spec, check, discover and read'],
    [[], "airbyte needs a command: spec, check, discover or read. `mongotap airbyte --help` shows its options."],
    [["discover"], "airbyte discover needs --config FILE"],
    [["read", "--config", "/nowhere.json"], "airbyte read needs --catalog FILE"],
    [["read", "--config", "/nowhere.json", "--catalog"], "--catalog needs a value"],
    [["read", "--config", "/nowhere.json", "--catalog", "/nowhere.json"], "--config /nowhere.json cannot be read"],
  ])("%j: an error as a message, for the user to correct, and 2", async (args, says) => {
    const { code, stdout, stderr } = await run(["airbyte", ...args]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: "" });
    const { message, failure_type: type } = errorOf(messagesOf(stdout));
    expect(message).toContain(says);
    expect(type).toBe("config_error");
  });
});

test("an option that airbyte does not know is a warning in the log", async () => {
  const { code, stdout } = await run(["airbyte", "spec", "--catlog", "x", `--password=${CANARY}`]);
  const [first, second, spec, ...more] = messagesOf(stdout);
  expect([code, more]).toEqual([0, []]);
  expect(first?.log).toEqual({
    level: "WARN",
    message: "--catlog is not an option of airbyte: it has no effect; did you mean --catalog?",
  });
  expect(second?.log?.message).toBe("--password is not an option of airbyte: it has no effect");
  expect(spec?.spec).toBeDefined();
});

test("a read of a stream that the config excludes as well is a config_error with 2, and names it", async () => {
  await using source = await Source.with({ uri: "mongodb://127.0.0.1:1/", exclude: "shop.b,shop.a" });
  const { code, messages } = await source.read(configured(["shop.a", "shop.c"]));
  expect([code, errorOf(messages).message]).toEqual([
    2,
    expect.stringContaining(": shop.a is selected, and the config excludes it") as string,
  ]);
});

describe("check", () => {
  async function statusOf(config: Readonly<Record<string, unknown>>): Promise<[status: string, message: string]> {
    await using source = await Source.with(config);
    const { code, messages } = await source.check();
    expect(code).toBe(0);
    const { status = "", message = "" } =
      messages.find(({ type }) => type === "CONNECTION_STATUS")?.connectionStatus ?? {};
    expect(message).not.toMatch(FLAG); // a flag of the command line is no help here
    return [status, message];
  }

  test("of a server that a read can use is SUCCEEDED", async () => {
    const { uri, name, db } = await testDatabase();
    await db.collection("a").insertOne({});
    expect(await statusOf({ uri, database: name })).toEqual(["SUCCEEDED", ""]);
  });

  test("of a config, a server and a login that do not work is FAILED, says why, and ends with 0", async () => {
    const { uri } = await testDatabase();
    const cases: readonly (readonly [config: Readonly<Record<string, unknown>>, says: RegExp])[] = [
      [{ uri: "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200" }, /^reachability: cannot connect to mongodb:/],
      [{}, /^config names no server. Set uri, or address/],
      [{ uri, columns: "some" }, /^config:1: columns takes one of fields, data/],
      [{ uri, onBadDocument: "quarantine=x" }, /onBadDocument must be fail or skip here/],
    ];
    for (const [config, says] of cases) {
      const [status, message] = await statusOf(config);
      expect(message).toMatch(says);
      expect(status).toBe("FAILED");
    }
  });

  test("of a standalone server is FAILED, and says how to make it a replica set", async () => {
    await using server = await startStandalone();
    const [status, message] = await statusOf({ uri: server.uri });
    expect(message).toContain("rs.initiate()");
    expect(status).toBe("FAILED");
  });

  test("and every other command show no password, whether the login works or not", async () => {
    await using set = await startReplicaSet({ members: 1, auth: { user: "root", password: CANARY } });
    const { host } = new URL(set.uriWithoutCredentials.replace("mongodb://", "http://"));
    const login = { address: host, user: "root" };
    expect(await statusOf({ ...login, password: CANARY })).toEqual(["SUCCEEDED", ""]);
    expect(await statusOf({ uri: set.uri })).toEqual(["SUCCEEDED", ""]);
    const [status, message] = await statusOf({ ...login, user: "else", password: CANARY });
    expect(message).toMatch(/^login: /);
    expect(status).toBe("FAILED");
    for (const config of [{ ...login, password: CANARY, logLevel: "debug" }, { uri: `${set.uri}&ssl=${CANARY}` }]) {
      await using source = await Source.with(config);
      for (const args of [["discover"], ["read", "--catalog", source.config]])
        await source.run([...args, "--config", source.config]);
    }
  });
});

describe("discover", () => {
  test("finds the streams of the databases in the config, each with what a platform needs", async () => {
    const { uri, name, db } = await testDatabase();
    await db.collection<{ _id: number }>("orders").insertOne({ _id: 1, a: { b: [1] } } as { _id: number });
    await db.createCollection("empty");
    await db.createCollection("view", { viewOn: "orders", pipeline: [] });
    await using source = await Source.with({ uri, database: name });
    const streams = await source.discover();
    expect(streams.map((stream) => stream.name).toSorted()).toEqual([
      `${name}.empty`,
      `${name}.orders`,
      `${name}.view`,
    ]);
    const [, orders, view] = streams.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    expect(orders).toMatchObject({
      supported_sync_modes: ["full_refresh", "incremental"],
      source_defined_cursor: true,
      default_cursor_field: ["_ab_cdc_cursor"],
      source_defined_primary_key: [["_id"]],
      is_resumable: true,
    });
    const columns = ["_ab_cdc_cursor", "_ab_cdc_deleted_at", "_ab_cdc_updated_at", "_id", "a"];
    expect(Object.keys(orders?.json_schema.properties ?? {}).toSorted()).toEqual(columns);
    expect(view).toMatchObject({ supported_sync_modes: ["full_refresh"], is_resumable: false });
    await using inOneColumn = await Source.with({ uri, database: name, columns: "data" });
    const [, dataOrders] = (await inOneColumn.discover()).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    expect(Object.keys(dataOrders?.json_schema.properties ?? {}).toSorted()).toEqual([
      "_ab_cdc_cursor",
      "_ab_cdc_deleted_at",
      "_ab_cdc_updated_at",
      "_id",
      "data",
    ]);
  });
});

test.each([
  [{ format: "relaxed" }, { id: EVERY_TYPE, data: ["null", "object"] }],
  [{ documents: "string" }, { id: ["null", "object", "string"], data: ["null", "object"] }],
])("discover with %j: a key that is a document has the type that it is written with", async (settings, types) => {
  const { uri, name, db } = await testDatabase();
  await db.collection<{ _id: object }>("keyed").insertOne({ _id: { a: 1 } });
  await using source = await Source.with({ uri, database: name, columns: "data", ...settings });
  const [stream] = await source.discover();
  const typeOf = (column: string): unknown =>
    (stream?.json_schema.properties[column] as { type?: unknown } | undefined)?.type;
  expect(typeOf("data")).toEqual(types.data);
  expect(typeOf("_id")).toEqual(types.id);
});

test("a full disk behind standard output is an error on standard error, and 8", async () => {
  const database = await testDatabase();
  const [stream = ""] = await filled(database, ["full_disk"]);
  await using source = await Source.with({ uri: database.uri });
  const full = await open("/dev/full", "w");
  await using reading = await source.startRead(configured([stream]), [], { stdout: full.fd });
  const { code, stderr } = await reading.done;
  await full.close();
  expect(stderr).toContain("cannot write to stdout: no space left on the device");
  expect(code).toBe(8);
});

describe("read", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });

  const config = (more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => ({
    uri: database.uri,
    database: database.name,
    ...more,
  });

  test("copies streams without a state, then sends inserts, updates and deletes: the rows are those of a find", async () => {
    const streams = await filled(database, ["first_a", "first_b"]);
    const [a = "", b = ""] = streams;
    await using source = await Source.with(config());
    const first = await source.readAll(configured(await source.discover()), { state: [] });
    const destination = new Destination().load(first);
    for (const stream of streams) {
      expect(destination.rows(stream)).toEqual(await foundRows(database.client, stream));
      expect(statusesOf(first, stream)).toEqual(["STARTED", "RUNNING", "COMPLETE"]);
      expect(recordsOf(first, stream).every(isCopied)).toBe(true);
    }
    const collection = database.db.collection<{ _id: number | string; n: number }>("first_a");
    await collection.insertOne({ _id: "new", n: 1 });
    await collection.updateOne({ _id: 3 }, { $set: { n: 33 } });
    await collection.deleteOne({ _id: 4 });
    await collection.replaceOne({ _id: 5 }, { n: 55 });
    await collection.deleteOne({ _id: 6 });
    await collection.insertOne({ _id: 6, n: 66 });
    const second = await source.readAll(configured(streams), { state: keptStates(first) });
    const sent = recordsOf(second, a).map(({ data }) => [data._id, typeof data["_ab_cdc_deleted_at"] === "string"]);
    expect(sent).toEqual([["new", false], [3, false], [4, true], [5, false], [6, true], [6, false]]); // prettier-ignore
    expect(recordsOf(second, b)).toEqual([]);
    expect(statusesOf(second, b)).toEqual(["STARTED", "COMPLETE"]);
    expect(destination.load(second).rows(a)).toEqual(await foundRows(database.client, a));
    const cursors = [...recordsOf(first, a), ...recordsOf(second, a)].map(({ data }) => data._ab_cdc_cursor);
    expect(cursors.toSorted()).toEqual(cursors);
    const third = await source.readAll(configured(streams), { state: keptStates(second) });
    expect(recordsOf(third)).toEqual([]);
  });

  test("counts its records in its states, tells how many come, and logs in its levels", async () => {
    const streams = await filled(database, ["counts_a", "counts_b"], 25);
    await using source = await Source.with(config({ logLevel: "debug" }));
    const messages = await source.readAll(configured(streams));
    for (const stream of streams) {
      const states = statesOf(messages).filter((state) => state.stream?.stream_descriptor.name === stream);
      expect(states.reduce((sum, state) => sum + state.sourceStats.recordCount, 0)).toBe(25);
      const estimates = messages.flatMap(({ trace }) => (trace?.estimate?.name === stream ? [trace.estimate] : []));
      expect(estimates).toMatchObject([{ type: "STREAM", row_estimate: 25 }]);
    }
    expect(messages.some(({ log }) => log?.level === "INFO")).toBe(true);
    await using quiet = await Source.with(config({ logLevel: "error" }));
    expect((await quiet.readAll(configured(streams))).filter(({ log }) => log !== undefined)).toEqual([]);
  });

  test("writes the count of a state with a decimal point, and the time of a record as a whole number", async () => {
    const [stream = ""] = await filled(database, ["decimal"]);
    await using source = await Source.with(config());
    const { stdout } = await run(["airbyte", ...(await source.readArgs(configured([stream])))]);
    expect(stdout).toMatch(/"sourceStats":\{"recordCount":10\.0\}/);
    for (const [, text = ""] of stdout.matchAll(/"emitted_at":([^,}]+)/g)) expect(text).toMatch(/^\d{13}$/);
  });
});

describe("a platform that stops a read", () => {
  const MANY = 60_000;
  let database: TestDatabase;
  let source: Source;
  let stream = "";
  beforeAll(async () => {
    database = await testDatabase();
    stream = `${database.name}.many`;
    await database.db.collection("many").insertMany([...documents("small", MANY)], { writeConcern: { w: 1 } });
    source = await Source.with({ uri: database.uri, database: database.name });
  });

  test("with SIGTERM while nobody reads: it ends at once, by that signal", async () => {
    await using pipe = await openPipe();
    await using stuck = await source.startRead(configured([stream]), [], { stdout: pipe.writer });
    pipe.handOver();
    let read = "";
    await waitFor(() => (read += pipe.read(1 << 16)).includes('"RECORD"'), { what: "the first record" });
    await isIdle(stuck.pid);
    const at = performance.now();
    stuck.kill("SIGTERM");
    const { code, signal } = await stuck.done;
    expect({ code, signal }).toEqual({ code: null, signal: "SIGTERM" });
    expect(performance.now() - at).toBeLessThan(5_000);
  });

  test("with SIGTERM while it reads: the streams are INCOMPLETE, and the state covers what was sent", async () => {
    await using reading = await source.startRead(configured([stream]), []);
    await reading.waitForLine((line) => line.includes('"RECORD"'));
    reading.kill("SIGTERM");
    const { signal, stdout } = await reading.done;
    expect(signal).toBe("SIGTERM");
    const messages = messagesOf(stdout);
    const last = messages.findLastIndex(({ type }) => type === "RECORD");
    expect(statesOf(messages.slice(last)).length).toBeGreaterThan(0);
    expect(statusesOf(messages, stream)).toEqual(["STARTED", "RUNNING", "INCOMPLETE"]);
    const rest = await source.readAll(configured([stream]), { state: keptStates(messages) });
    const keys = [...recordsOf(messages), ...recordsOf(rest)].map(({ data }) => data._id as string);
    expect(keys).toHaveLength(MANY);
    expect(new Set(keys).size).toBe(MANY);
  });

  test("by going away: 141, and not a word", async () => {
    await using reading = await source.startRead(configured([stream]), []);
    await reading.waitForLine((line) => line.includes('"RECORD"'));
    reading.closeStdout();
    const { code, stderr } = await reading.done;
    expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
  });

  test("leaves standard input open, which it does not wait for", async () => {
    const { program, args } = commandUnderTest();
    const child = spawn(program, [...args, "airbyte", "check", "--config", source.config], { stdio: "pipe" });
    let stdout = "";
    child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
    const code = await new Promise((ended) => child.once("close", ended));
    expect(code).toBe(0);
    expect(messagesOf(stdout).some((message: Message) => message.connectionStatus?.status === "SUCCEEDED")).toBe(true);
    expect(child.stdin.writableEnded).toBe(false);
  });
});
