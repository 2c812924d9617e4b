/** `mongotap flow` from outside, with a runtime that keeps its state and its documents as Flow does. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import type { Collection, Document } from "mongodb";
import { fingerprint } from "../../src/connect/known-hosts.ts";
import { CANARY } from "../support/cli.ts";
import { type FailPoint, failCommand } from "../support/fail-point.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { CLIENT_KEY, startSshServer } from "../support/ssh-server.ts";
import { waitFor } from "../support/wait.ts";
import { startWriter } from "./flow-writer.ts";
import { type Bound, bindingsOf, FlowCapture, FlowSession, type Json, stateKeyOf } from "./flow-runtime.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

function captureOf(config: Json = {}, commitMs = 0): FlowCapture {
  return new FlowCapture({ config: { uri: database.uri, ...config }, commitMs });
}

function bound(collection: string, backfill = 0, of = database.name): Bound {
  return { database: of, collection, backfill };
}

async function filled(name: string, count: number, of = database): Promise<Collection<Document>> {
  const collection = of.db.collection<Document>(name);
  await collection.insertMany(Array.from({ length: count }, (_, i) => ({ _id: i as never, v: 0 })));
  return collection;
}

/** What a collection of Flow must hold: the documents that a find returns, without what the runtime and we add. */
async function contentOf({ database: db, collection }: Bound): Promise<string[]> {
  const documents = await database.client.db(db).collection(collection).find().toArray();
  return documents.map((document) => JSON.stringify({ ...document, _id: String(document._id) })).toSorted();
}

function rowsOf(capture: FlowCapture, of: Bound): string[] {
  return [...capture.of(of).values()].map((row) => JSON.stringify({ ...row, _meta: undefined })).toSorted();
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, i) => text === right[i]);
}

/** Waits until the collections of Flow hold what a find returns now. Nothing may write meanwhile. */
async function untilSame(capture: FlowCapture, session: FlowSession, all: readonly Bound[]): Promise<void> {
  for (const each of all) {
    const expected = await contentOf(each);
    await session.until(() => isSame(rowsOf(capture, each), expected), `the documents of ${each.collection}`);
  }
}

/** One session up to now. */
async function catchUp(capture: FlowCapture, all: readonly Bound[]): Promise<FlowSession> {
  await using session = await capture.open(all);
  await untilSame(capture, session, all);
  await session.end();
  return session;
}

function lastLog(stderr: string): Json {
  return JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "{}") as Json;
}

describe("requests", () => {
  test("spec, discover, validate and apply have one answer each, and the process ends with 0", async () => {
    await filled("unary", 1);
    const capture = captureOf({ database: database.name });
    const { config } = capture.options;
    const { spec } = await capture.ask({ spec: { connectorType: "LOCAL", config: {} } });
    expect(spec).toMatchObject({ protocol: 3032023, resourcePathPointers: ["/database", "/collection"] });
    const { discovered } = await capture.ask({ discover: { connectorType: "LOCAL", config } });
    const found = (discovered as { bindings: Json[] }).bindings.find(
      ({ resourceConfig }) => (resourceConfig as Json)["collection"] === "unary",
    );
    expect(found).toEqual({
      recommendedName: `${database.name}/unary`,
      resourceConfig: { database: database.name, collection: "unary" },
      documentSchema: expect.objectContaining({ "x-infer-schema": true, required: ["_id"] }) as object,
      key: ["/_id"],
    });
    const name = "acmeCo/mongo";
    const request = { name, connectorType: "LOCAL", config, bindings: bindingsOf([bound("unary")], false) };
    const validated = await capture.ask({ validate: request });
    expect(validated).toEqual({ validated: { bindings: [{ resourcePath: [database.name, "unary"] }] } });
    const applied = await capture.ask({ apply: { capture: { ...request, intervalSeconds: 300 }, version: "1" } });
    expect(applied).toEqual({ applied: { actionDescription: "" } });
  });

  test("names of the protocol's source, nulls, unknown fields and empty lines are taken", async () => {
    const collection = await filled("lenient", 2);
    const capture = captureOf();
    const resource = { database: database.name, collection: "lenient", captureMode: "", _meta: { path: [] } };
    const validate = {
      name: "x",
      connector_type: "LOCAL",
      config_json: { ...capture.options.config, networkTunnel: null, database: null },
      bindings: [{ resource_config_json: resource, collection: null, backfill: 0, unknown: { a: [1] } }],
      last_capture: null,
      lastVersion: "",
    };
    const { code, responses } = await capture.run({ validate, spec: null, unknown: 1 }, { spec: {} });
    expect([code, responses.map((response) => Object.keys(response)[0])]).toEqual([0, ["spec", "validated", "spec"]]);
    const spec = { config_json: capture.options.config, bindings: [{ resource_config: resource, state_key: "k" }] };
    await using session = await capture.open([bound("lenient")]);
    await untilSame(capture, session, [bound("lenient")]);
    await session.end();
    // The same again, with the other names.
    const key = stateKeyOf(bound("lenient"));
    const states = JSON.parse(JSON.stringify(capture.state).replaceAll(key, "k")) as Json;
    await collection.updateOne({ _id: 1 as never }, { $set: { v: 1 } });
    capture.openRequest = () => ({ open: { capture: spec, state_json: states, range: null, version: null } });
    await using again = await capture.open([bound("lenient")]);
    await again.until(() => again.changed.size > 0, "the change");
    again.cli.write('\n{"acknowledge":{"checkpoints":null}}\n');
    await again.end();
    expect(again.copied.size).toBe(0);
  });

  test("validate names all bindings that are wrong, in one error", async () => {
    const { db, name } = database;
    await filled("fine", 1);
    await db.createCollection("paid", { viewOn: "fine", pipeline: [] });
    await db.createCollection("series", { timeseries: { timeField: "at" } });
    const bindings = [
      ...bindingsOf(
        ["fine", "gone", "paid", "series", "fine"].map((each) => bound(each)),
        false,
      ),
      { resourceConfig: { database: name, collection: "fine2", captureMode: "Batch Snapshot" } },
      { resourceConfig: { database: name } },
    ];
    const capture = captureOf();
    const { code, responses, stderr } = await capture.run({ validate: { config: capture.options.config, bindings } });
    expect([code, responses]).toEqual([2, [expect.anything()]]);
    const { message, kind, level } = lastLog(stderr);
    expect([kind, level]).toEqual(["config", "error"]);
    for (const text of [
      `${name}.fine is bound twice`,
      `${name}.fine2 asks for "Batch Snapshot"`,
      "binding 6 lacks its database or its collection",
      `${name}.gone does not exist`,
      `${name}.paid: a view has no changes`,
      `${name}.series: time series have no change streams`,
    ])
      expect(message).toContain(text);
  });

  test("discover leaves out views, time series and excluded collections, and no two recommended names are alike", async () => {
    const own = await testDatabase();
    const { name, db } = own;
    const names = ["a b", "a_b", "A b", "ü", 'q"uote', "per%cent", "dotted.name", "under_"];
    for (const each of names) await filled(each, 1, own);
    await db.createCollection("seen", { viewOn: "a_b", pipeline: [] });
    await db.createCollection("series", { timeseries: { timeField: "at" } });
    await filled("secret", 1, own);
    const advanced = { excludeCollections: `${name}:secret`, maxAwaitTime: "1s", disablePreImages: true };
    const config = { ...captureOf().options.config, database: name, advanced };
    const { discovered } = await captureOf().ask({ discover: { config } });
    const { bindings } = discovered as { bindings: { recommendedName: string; resourceConfig: Json }[] };
    expect(bindings.map(({ resourceConfig }) => resourceConfig["collection"]).toSorted()).toEqual(names.toSorted());
    const recommended = bindings.map((binding) => binding.recommendedName.toLowerCase());
    expect(new Set(recommended).size).toBe(names.length);
    for (const each of recommended) expect(each).toMatch(/^[\p{L}\p{N}\-_.]+\/[\p{L}\p{N}\-_.]+$/u);
  });

  test.each([
    ["a request while a capture is open", { apply: {} }, "a request to apply came while a capture is open"],
    ["an acknowledgement too many", { acknowledge: { checkpoints: 7 } }, "checkpoints are acknowledged, of"],
    ["what is no request", { what: 1 }, "a request is none of"],
  ])("%s ends the session with 2 and one clear line", async (_, request, text) => {
    await filled(`wrong_${text.length}`, 1);
    const capture = captureOf();
    await using session = await capture.open([bound(`wrong_${text.length}`)]);
    session.send(request);
    const { code, stderr } = await session.ended();
    expect(code).toBe(2);
    expect(stderr.split("\n").filter((line) => line.includes('"level":"error"'))).toHaveLength(1);
    expect(lastLog(stderr)).toMatchObject({ level: "error", message: expect.stringContaining(text) as string });
  });

  test("acknowledgements without an open capture, and a shard of several, end with 2", async () => {
    const capture = captureOf();
    expect((await capture.run({ acknowledge: { checkpoints: 1 } })).code).toBe(2);
    const { open } = capture.openRequest([]) as { open: Json };
    const range = { keyBegin: 0, keyEnd: 2_147_483_647 };
    expect((await capture.run({ open: { ...open, range } })).code).toBe(2);
  });

  test("a capture without bindings is open until its requests end, or SIGTERM comes", async () => {
    for (const how of ["eof", "SIGTERM"] as const) {
      await using session = await captureOf().open([]);
      await session.end(how);
      expect([session.checkpoints, session.messages]).toEqual([0, 2]);
    }
  });
});

describe("a capture", () => {
  test("its collections are what a find returns, wherever sessions are killed, stopped or ended", async () => {
    const all = [bound("chaos_large"), bound("chaos_small")];
    const collections = [await filled("chaos_large", 2_000), await filled("chaos_small", 20)];
    const random = randomFor("flow sessions");
    const capture = captureOf({ maxMemory: "1MB" });
    {
      await using writer = startWriter(collections, random);
      for (const how of ["SIGKILL", "SIGTERM", "eof", "SIGKILL", "eof", "SIGKILL", "SIGTERM"] as const) {
        await using session = await capture.open(all);
        const messages = 2 + random.whole(400);
        await session.until(() => session.messages >= messages || writer.writes > 3_000, "the next end");
        await session.end(how);
      }
      expect(writer.writes).toBeGreaterThan(10);
    }
    await catchUp(capture, all);
    // Nothing is sent twice after a session that ended well.
    const last = await catchUp(capture, all);
    expect([last.copied, last.changed]).toEqual([new Map(), new Map()]);
  }, 60_000);

  test("SIGTERM and the end of its requests stop it before it has begun, and while nobody reads", async () => {
    const collection = database.db.collection<Document>("unread");
    await collection.insertMany(Array.from({ length: 200 }, (_, i) => ({ _id: i as never, text: "x".repeat(4_000) })));
    for (const how of ["SIGTERM", "eof"] as const) {
      await using session = startPaused(captureOf(), [bound("unread")]);
      // A pipe does not hold the documents.
      await untilPipeIsFull(session);
      const began = performance.now();
      if (how === "eof") session.cli.endStdin();
      else session.cli.kill(how);
      await session.cli.done;
      expect(performance.now() - began).toBeLessThan(5_000);
    }
    const unreachable = new FlowCapture({ config: { uri: "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=25000" } });
    for (const how of ["SIGTERM", "eof"] as const) {
      await using session = await unreachable.open([bound("unread")]);
      const began = performance.now();
      await session.end(how);
      expect(performance.now() - began).toBeLessThan(5_000);
    }
  });

  test("bindings come, go and come back, and a raised counter copies its own binding again, as the others go on", async () => {
    const [a, b, c] = [bound("a"), bound("b"), bound("c")];
    const [collectionA, collectionB] = [await filled("a", 10), await filled("b", 10), await filled("c", 10)];
    const write = async (): Promise<void> => {
      await collectionA.updateOne({ _id: 1 as never }, { $inc: { v: 1 } });
      await collectionB.updateOne({ _id: 1 as never }, { $inc: { v: 1 } });
    };
    const capture = captureOf();
    const countsOf = ({ copied, changed }: FlowSession, of: Bound): number[] => [
      copied.get(stateKeyOf(of)) ?? 0,
      changed.get(stateKeyOf(of)) ?? 0,
    ];
    const keys = (): string[] => Object.keys(capture.state["bindingStateV1"] as Json).toSorted();
    const first = await catchUp(capture, [b, a]);
    expect([countsOf(first, a), countsOf(first, b)]).toEqual([
      [10, 0],
      [10, 0],
    ]);
    // Disabled, and so absent: the index of the other one is another.
    await write();
    const without = await catchUp(capture, [a]);
    expect([countsOf(without, a), keys()]).toEqual([[0, 1], [stateKeyOf(a)]]);
    // Back again, and with another one: copied, because its changes were not read meanwhile.
    await write();
    const back = await catchUp(capture, [b, c, a]);
    expect(countsOf(back, a)).toEqual([0, 1]);
    expect([b, c].map((each) => back.copied.get(stateKeyOf(each)))).toEqual([10, 10]);
    await write();
    const raised = { ...a, backfill: 1 };
    const one = await catchUp(capture, [b, c, raised]);
    expect(one.copied).toEqual(new Map([[stateKeyOf(raised), 10]]));
    expect([countsOf(one, b), countsOf(one, c)]).toEqual([
      [0, 1],
      [0, 0],
    ]);
    expect(keys()).toEqual([b, c, raised].map(stateKeyOf).toSorted());
    await write();
    const all = [
      { ...b, backfill: 1 },
      { ...c, backfill: 1 },
      { ...a, backfill: 2 },
    ];
    const every = await catchUp(capture, all);
    expect(all.map((each) => countsOf(every, each))).toEqual([
      [10, 0],
      [10, 0],
      [10, 0],
    ]);
    expect(keys()).toEqual(all.map(stateKeyOf).toSorted());
  });

  test("a state of another connector is refused, until all counters are raised", async () => {
    await filled("changed_over", 3);
    const capture = captureOf();
    const from = bound("changed_over");
    capture.state = {
      bindingStateV1: { [stateKeyOf(from)]: { backfill: { done: true } } },
      databaseResumeTokens: { x: "AAA" },
    };
    await using session = await capture.open([from]);
    const { code, stderr } = await session.ended();
    expect(code).toBe(3);
    expect(lastLog(stderr)["hint"]).toContain("Raise the backfill counters of all bindings");
    const raised = { ...from, backfill: 1 };
    await catchUp(capture, [raised]);
    expect(Object.keys(capture.state)).not.toContain("databaseResumeTokens");
    // And the same for the state of another cluster.
    capture.state = { ...capture.state, source: { setName: "another" } };
    await using other = await capture.open([raised]);
    expect((await other.ended()).code).toBe(3);
    await catchUp(capture, [{ ...from, backfill: 2 }]);
  });

  test("two databases and names of any kind, in one capture", async () => {
    const other = await testDatabase();
    const names = ["a.b", "ü ñ", 'q"uote', "per%cent", "__proto__", "a/b", "new\nline", "ends.*"];
    const all = names.flatMap((name) => [bound(name), bound(name, 0, other.name)]);
    for (const { collection } of all.slice(0, names.length * 2).filter((_, i) => i % 2 === 0)) {
      await filled(collection, 2);
      await filled(collection, 1, other);
    }
    const capture = captureOf();
    await using session = await capture.open(all);
    await untilSame(capture, session, all);
    for (const each of all) {
      const collection = database.client.db(each.database).collection<Document>(each.collection);
      await collection.updateOne({ _id: 0 as never }, { $set: { v: each.collection } });
      await collection.insertOne({ _id: "new" as never });
    }
    await untilSame(capture, session, all);
    await session.end();
  });

  test("after a drop and $out the documents that come later are there, and the log says what was left out", async () => {
    const collection = await filled("ends", 3);
    await filled("ends_source", 2);
    const capture = captureOf();
    const from = bound("ends");
    await using session = await capture.open([from]);
    await untilSame(capture, session, [from]);
    await collection.drop();
    await collection.insertOne({ _id: 10 as never });
    await session.until(() => capture.of(from).has("10"), "what came after the drop");
    await database.db
      .collection("ends_source")
      .aggregate([{ $set: { out: 1 } }, { $out: "ends" }])
      .toArray();
    await session.until(() => capture.of(from).get("0")?.["out"] === 1, "what $out wrote");
    await collection.updateOne({ _id: 1 as never }, { $set: { v: 5 } });
    await session.until(() => capture.of(from).get("1")?.["v"] === 5, "what came after $out");
    const { stderr } = await session.end();
    for (const text of ["ends was dropped", "ends was replaced: $out", "cannot show that what came before is void"])
      expect(stderr).toContain(text);
  });

  test("a collection that does not exist yet is captured when it does", async () => {
    const capture = captureOf();
    const from = bound("later");
    await using session = await capture.open([from]);
    await session.until(() => session.checkpoints > 0, "the first checkpoint");
    await filled("later", 2);
    await untilSame(capture, session, [from]);
    expect(session.copied.size).toBe(0);
    await session.end();
  });
});

describe("lost history", () => {
  let failPoint: FailPoint | undefined;
  afterEach(async () => failPoint?.off());

  test("fails one session, when its new state has been committed, and the next one copies again", async () => {
    await filled("lost", 5);
    const from = bound("lost");
    // What is not committed when a session fails is dropped: here that takes a while.
    const capture = captureOf({}, 300);
    await catchUp(capture, [from]);
    failPoint = await failCommand(database.client, {
      failCommands: ["aggregate"],
      errorCode: 286,
      appName: "mongotap",
    });
    await using session = await capture.open([from]);
    const { code, stderr } = await session.ended();
    await failPoint.off();
    expect([code, session.checkpoints]).toEqual([6, 1]);
    expect(stderr.split("\n").filter((line) => line.includes('"level":"error"'))).toHaveLength(1);
    const { message, kind } = lastLog(stderr);
    expect([kind, message]).toEqual(["history-lost", expect.stringContaining("the next run will backfill again")]);
    await database.db.collection("lost").updateOne({ _id: 1 as never }, { $set: { v: 9 } });
    const again = await catchUp(capture, [from]);
    expect(again.copied.get(stateKeyOf(from))).toBe(5);
  });
});

describe("the endpoint config", () => {
  test("a capture goes through networkTunnel.sshForwarding, and nothing shows the private key", async () => {
    await filled("tunnelled", 2);
    const [, port, setName = ""] = /:(\d+)\/.*replicaSet=(\w+)/.exec(database.uri) ?? [];
    await using server = await startSshServer({ names: { "db.internal:27017": Number(port) } });
    const [, , publicKey = ""] = server.knownHost.split(" ");
    const config = {
      address: `db.internal/?replicaSet=${setName}`,
      sshHostKey: fingerprint(Buffer.from(publicKey, "base64")),
      networkTunnel: { sshForwarding: { sshEndpoint: server.url, privateKey: CLIENT_KEY.private } },
    };
    const capture = new FlowCapture({ config, env: { LOG_LEVEL: "debug" } });
    await using session = await capture.open([bound("tunnelled")]);
    await untilSame(capture, session, [bound("tunnelled")]);
    const { stderr, stdout } = await session.end();
    expect(server.forwarded).toContain("db.internal:27017");
    const secret = CLIENT_KEY.private.split("\n").filter((line) => line !== "" && !line.startsWith("-"));
    for (const line of secret) expect(stderr + stdout).not.toContain(line);
  });

  test("a password that is refused is in no output, whatever the level of the log", async () => {
    // start() looks for the secret.
    const [, address = ""] = /^mongodb:\/\/(.*)$/.exec(database.uri) ?? [];
    const config = { address, user: "nobody", password: CANARY };
    const capture = new FlowCapture({ config, env: { LOG_LEVEL: "trace" } });
    const results = [
      await capture.run({ discover: { config } }),
      await capture.run({ validate: { config, bindings: bindingsOf([bound("x")], false) } }),
      await (await capture.open([bound("x")])).ended(),
    ];
    expect(results.map(({ code }) => code)).toEqual([5, 5, 5]);
    for (const { stderr } of results) expect(lastLog(stderr)).toMatchObject({ kind: "auth" });
  });
});

/** A session whose output is not read. */
function startPaused(capture: FlowCapture, all: readonly Bound[]): FlowSession {
  return new FlowSession(capture, all, { paused: true });
}

/** Waits until a session has begun to write documents, and then stands still: its pipe is full. */
async function untilPipeIsFull({ cli }: FlowSession): Promise<void> {
  let before = -1;
  const isStill = async (): Promise<boolean> => {
    const written = Number(/^wchar: (\d+)$/m.exec(await readFile(`/proc/${cli.pid}/io`, "utf8"))?.[1]);
    const isSame = written === before;
    before = written;
    return isSame && cli.stderr.includes("backfilling");
  };
  await waitFor(isStill, { what: "a full pipe", everyMs: 150 });
}
