/** `mongotap flow` from outside: its requests and its config, with a runtime that does as Flow does. */
import { beforeAll, describe, expect, test } from "bun:test";
import { fingerprint } from "../../src/connect/known-hosts.ts";
import { CANARY } from "../support/cli.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { CLIENT_KEY, startSshServer } from "../support/ssh-server.ts";
import { filled, lastLog, untilSame } from "./flow-content.ts";
import { capturesOf, bindingRequests, FlowCapture, type Json, stateKeyOf } from "./flow-runtime.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

const { captureOf, bound } = capturesOf(() => database);

describe("requests", () => {
  test("spec, discover, validate and apply have one answer each, and the process ends with 0", async () => {
    await filled(database, "unary", 1);
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
    const request = { name, connectorType: "LOCAL", config, bindings: bindingRequests([bound("unary")], false) };
    const validated = await capture.ask({ validate: request });
    expect(validated).toEqual({ validated: { bindings: [{ resourcePath: [database.name, "unary"] }] } });
    const applied = await capture.ask({ apply: { capture: { ...request, intervalSeconds: 300 }, version: "1" } });
    expect(applied).toEqual({ applied: { actionDescription: "" } });
  });

  test("names of the protocol's source, nulls, unknown fields and empty lines are taken", async () => {
    const collection = await filled(database, "lenient", 2);
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
    await untilSame(database, capture, session, [bound("lenient")]);
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
    await filled(database, "fine", 1);
    await db.createCollection("paid", { viewOn: "fine", pipeline: [] });
    await db.createCollection("series", { timeseries: { timeField: "at" } });
    const bindings = [
      ...bindingRequests(
        ["fine", "gone", "paid", "series", "fine"].map((each) => bound(each)),
        false,
      ),
      { resourceConfig: { database: name, collection: "fine2", captureMode: "Batch Snapshot" } },
      { resourceConfig: { database: name } },
    ];
    const capture = captureOf();
    const config = { ...capture.options.config, advanced: { excludeCollections: `${name}:paid` } };
    const { code, responses, stderr } = await capture.run({ validate: { config, bindings } });
    expect([code, responses]).toEqual([2, [expect.anything()]]);
    const { message, kind, level } = lastLog(stderr);
    expect([kind, level]).toEqual(["config", "error"]);
    for (const text of [
      `${name}.paid is bound, and the config excludes it`,
      `${name}.fine is bound twice`,
      `${name}.fine2 asks for "Batch Snapshot"`,
      "binding 7 has no collection",
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
    for (const each of names) await filled(own, each, 1);
    await db.createCollection("seen", { viewOn: "a_b", pipeline: [] });
    await db.createCollection("series", { timeseries: { timeField: "at" } });
    await filled(own, "secret", 1);
    const advanced = { excludeCollections: `${name}:secret`, maxAwaitTime: "1s", disablePreImages: true };
    const config = { ...captureOf().options.config, database: name, advanced };
    const { discovered } = await captureOf().ask({ discover: { config } });
    const { bindings } = discovered as { bindings: { recommendedName: string; resourceConfig: Json }[] };
    const found = bindings.map(({ resourceConfig }) => String(resourceConfig["collection"]));
    expect(found.toSorted()).toEqual(names.toSorted());
    const recommended = bindings.map((binding) => binding.recommendedName.toLowerCase());
    expect(new Set(recommended).size).toBe(names.length);
    for (const each of recommended) expect(each).toMatch(/^[\p{L}\p{N}\-_.]+\/[\p{L}\p{N}\-_.]+$/u);
  });

  test.each([
    ["a request while a capture is open", { apply: {} }, "a request to apply came while a capture is open"],
    [
      "an acknowledgement too many",
      { acknowledge: { checkpoints: 7 } },
      "Flow has acknowledged 7 checkpoints, more than the",
    ],
    ["what is no request", { what: 1 }, "a request is none of these"],
  ])("%s ends the session with 2 and one clear line", async (_, request, text) => {
    await filled(database, `wrong_${text.length}`, 1);
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

  test("a capture of a binding that the config excludes ends with 2", async () => {
    const capture = captureOf({ advanced: { excludeCollections: `${database.name}:unwanted` } });
    const { code, stderr } = await capture.run(capture.openRequest([bound("unwanted")]));
    expect(code).toBe(2);
    expect(lastLog(stderr)["message"]).toBe(`${database.name}.unwanted is bound, and the config excludes it`);
  });

  test("a capture of a view ends with 10 and the reason alone: no counts, and no advice that Flow has no use for", async () => {
    await filled(database, "seen", 1);
    await database.db.createCollection("view", { viewOn: "seen", pipeline: [] });
    await using session = await captureOf().open([bound("view")]);
    const { code, stderr } = await session.ended();
    expect(code).toBe(10);
    expect(stderr).not.toMatch(/0 documents|0 of 0|backfill/);
    expect(lastLog(stderr)["message"]).toBe(`${database.name}.view is a view: it has no change stream`);
  });

  test("a capture without bindings is open until its requests end, or SIGTERM comes", async () => {
    for (const how of ["eof", "SIGTERM"] as const) {
      await using session = await captureOf().open([]);
      await session.end(how);
      expect([session.checkpoints, session.messages]).toEqual([0, 2]);
    }
  });
});

describe("the endpoint config", () => {
  test("a capture goes through networkTunnel.sshForwarding, and nothing shows the private key", async () => {
    await filled(database, "tunnelled", 2);
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
    await untilSame(database, capture, session, [bound("tunnelled")]);
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
      await capture.run({ validate: { config, bindings: bindingRequests([bound("x")], false) } }),
      await (await capture.open([bound("x")])).ended(),
    ];
    expect(results.map(({ code }) => code)).toEqual([5, 5, 5]);
    for (const { stderr } of results) expect(lastLog(stderr)).toMatchObject({ kind: "auth" });
  });
});
