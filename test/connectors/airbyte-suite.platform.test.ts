/** Airbyte's own tests for connectors, of airbyte-cdk, on the program and on the messages that it has written. */

import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { Decimal128, Long, MongoClient, ObjectId } from "mongodb";
import { startReplicaSet } from "../../scripts/mongod.ts";
import { requirePython } from "../../scripts/python.ts";
import { CANARY, run } from "../support/cli.ts";
import { commandUnderTest } from "../support/command.ts";
import { documents } from "../support/documents.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { configured, type Stream, messagesOf } from "./airbyte.ts";

const bin = requirePython("airbyte");

/** Writes what a command of the program writes, as `messages-NAME.jsonl`. */
async function keepMessages(dir: TempDir, name: string, args: readonly string[]): Promise<string> {
  const { code, stdout } = await run(["airbyte", ...args]);
  expect(code).toBe(0);
  await writeFile(dir.join(`messages-${name}.jsonl`), stdout);
  return stdout;
}

async function keepRead(dir: TempDir, name: string, config: string): Promise<void> {
  const discovered = await keepMessages(dir, `discover-${name}`, ["discover", "--config", config]);
  const streams = messagesOf(discovered).flatMap(({ catalog }): readonly Stream[] => catalog?.streams ?? []);
  const catalog = dir.join(`catalog-read-${name}.json`);
  await writeFile(catalog, JSON.stringify(configured(streams)));
  await keepMessages(dir, `read-${name}`, ["read", "--config", config, "--catalog", catalog]);
}

function pytest(dir: TempDir, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const { program } = commandUnderTest();
  const child = spawn(join(bin, "python"), ["-m", "pytest", "-q", "-p", "no:cacheprovider", ...args], {
    cwd: dir.path,
    env: {
      ...process.env,
      TMPDIR: dir.path, // configs stay there where a test fails
      PATH: `${dir.path}${delimiter}${process.env["PATH"] ?? ""}`,
      SOURCE_MONGOTAP: dir.join("bin", "source-mongotap"),
      MONGOTAP: program,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (output += bytes.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

test("the standard tests of airbyte-cdk pass, and its checks of every message", async () => {
  await using set = await startReplicaSet({ members: 1, auth: { user: "root", password: CANARY } });
  const client = await MongoClient.connect(set.uri);
  await using _client = { [Symbol.asyncDispose]: () => client.close() };
  const shop = client.db("shop");
  await shop.collection("orders").insertMany([...documents("typical", 50)]);
  await shop.collection<{ _id: unknown; [field: string]: unknown }>("mixed").insertMany([
    { _id: 1, a: Long.fromString("9007199254740993"), b: 1.5, c: new Date(0), d: null, e: [1, "x"], "f.g": {} },
    { _id: "x", a: 1, b: Decimal128.fromString("1.5"), c: "text", d: { e: 1 }, e: 5 },
    { _id: new ObjectId(), b: Number.NaN, c: new Date(-1e14), h: true },
  ]);
  await shop.createCollection("view", { viewOn: "orders", pipeline: [{ $limit: 3 }] });
  await shop.createCollection("series", { timeseries: { timeField: "at" } });
  await shop.collection("series").insertOne({ at: new Date(), n: 1 });

  await using dir = await tempDir();
  await cp(join(import.meta.dirname, "airbyte-suite"), dir.path, { recursive: true });
  await mkdir(dir.join("secrets"));
  await mkdir(dir.join("bin"));
  await symlink(commandUnderTest().program, dir.join("bin", "source-mongotap"));
  const address = new URL(set.uriWithoutCredentials.replace("mongodb://", "http://")).host;
  const login = { address, user: "root", password: CANARY, database: "shop" };
  const configs = {
    config: login,
    columns: { uri: set.uri, database: "shop", columns: "data" },
    "wrong-password": { ...login, password: `${CANARY}x` },
    unreachable: { uri: `mongodb://root:${CANARY}@127.0.0.1:1/?serverSelectionTimeoutMS=300` },
  };
  for (const [name, config] of Object.entries(configs))
    await writeFile(dir.join("secrets", `${name}.json`), JSON.stringify(config));
  for (const name of ["config", "columns"]) await keepRead(dir, name, dir.join("secrets", `${name}.json`));
  await keepMessages(dir, "spec", ["spec"]);
  for (const name of ["config", "unreachable"])
    await keepMessages(dir, `check-${name}`, ["check", "--config", dir.join("secrets", `${name}.json`)]);

  // The test that is left out compares the spec with the one in Airbyte's registry, which has none.
  const choice = ["--connector-image", "dev", "--read-from-streams=all", "--read-scenarios=config,columns"];
  const { code, output } = await pytest(dir, [...choice, "-k", "not backward_compatibility"]);
  expect(output).not.toContain(CANARY);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/\d+ passed/) as string });
}, 180_000);
