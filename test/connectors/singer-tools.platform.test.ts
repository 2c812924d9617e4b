/** What the tap sends is what singer-check-tap and the tests of the Singer SDK take for valid. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Decimal128, Double, Long } from "mongodb";
import { requirePython } from "../../scripts/python.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { tapProgram } from "./tap-program.ts";

const tools = requirePython("singer-tools");
const sdk = requirePython("singer-sdk");

let dir: TempDir;
let database: TestDatabase;
let program: string;
let config: string;

beforeAll(async () => {
  dir = await tempDir();
  database = await testDatabase();
  program = await tapProgram(dir);
  config = dir.join("config.json");
  await writeFile(config, JSON.stringify({ uri: database.uri, database: database.name }));
  const { db } = database;
  await db.collection("orders").insertMany([...documents("typical", 300)]);
  await db.collection<{ _id: number }>("values").insertMany([
    { _id: 1, long: Long.MAX_VALUE, decimal: Decimal128.fromString("1E+300"), at: new Date(0), "a.b": { "c-d": [1] } },
    { _id: 2, long: null, decimal: Decimal128.fromString("NaN"), at: new Date(1e12), mixed: "text" },
    { _id: 3, double: new Double(1), mixed: 1, late: new Date(Date.UTC(10_000, 0, 1)) },
  ] as never);
  await db.createCollection("recent", { viewOn: "orders", pipeline: [{ $limit: 10 }] });
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

function messagesOf(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, ["--config", config, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

test("singer-check-tap finds the messages of a first and of a second run valid", async () => {
  const check = (input: string): string => {
    const { status, stdout, stderr } = spawnSync(join(tools, "singer-check-tap"), {
      input,
      encoding: "utf8",
      cwd: dir.path,
    });
    if (status !== 0) throw new Error(`${stdout}${stderr}`);
    return stdout;
  };
  const first = messagesOf();
  expect(check(first)).toMatch(/The output is valid\.\n(.|\n)* 313 record messages/);
  const state = first.split("\n").findLast((line) => line.startsWith('{"type":"STATE"')) ?? "";
  await writeFile(dir.join("state.json"), JSON.stringify((JSON.parse(state) as { value: unknown }).value));
  await database.db.collection<{ _id: number }>("values").deleteOne({ _id: 1 });
  await database.db.collection("orders").drop();
  const second = messagesOf("--state", dir.join("state.json"));
  expect(second).toContain("ACTIVATE_VERSION");
  expect(check(second)).toMatch(/The output is valid\.\n(.|\n)* 1 record messages/);
});

test("the standard tests of the Singer SDK pass on the program", async () => {
  await database.db.collection("orders").insertMany([...documents("typical", 300)]);
  const tests = join(import.meta.dirname, "singer_sdk_tests.py");
  const args = [
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "-q",
    "-W",
    "error::UserWarning",
    "--rootdir",
    dir.path,
    tests,
  ];
  const env = {
    ...process.env,
    TMPDIR: dir.path,
    TAP_PROGRAM: program,
    TAP_CONFIG: config,
    PYTHONDONTWRITEBYTECODE: "1",
  };
  const { status, stdout, stderr } = spawnSync(join(sdk, "python"), args, { env, encoding: "utf8", cwd: dir.path });
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
  // 4 tests of the tap, 6 of each of the 3 streams, and ours.
  expect(stdout).toContain("23 passed");
});
