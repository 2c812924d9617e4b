/** The shell examples of docs/platforms.md, run as they are: with a database of this test in the place of theirs. */

import { expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { commandUnderTest } from "../support/command.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

interface Doc {
  readonly _id: number;
}

const DOC = readFileSync(join(import.meta.dirname, "../../docs/platforms.md"), "utf8");

/** The lines of the first shell block of a section. */
function exampleOf(section: string, { name, uri }: TestDatabase): readonly string[] {
  const [, text = ""] = DOC.split(`\n## ${section}\n`);
  const [, block = ""] = /^```sh\n([^]*?)^```/m.exec(text.split("\n## ", 1)[0] ?? "") ?? [];
  const lines = block.replaceAll("mongodb://127.0.0.1/?replicaSet=rs0", uri).replaceAll("shop", name).split("\n");
  return lines.filter((line) => line !== "");
}

async function databaseWithOrders(): Promise<TestDatabase> {
  const database = await testDatabase();
  await database.db.collection<Doc>("orders").insertMany([{ _id: 1 }, { _id: 2 }]);
  await database.db.collection<Doc>("users").insertOne({ _id: 9 });
  return database;
}

/** A folder with a config.json, and the program under test as `mongotap` on the PATH of `env`. */
async function folderFor({ uri, name }: TestDatabase): Promise<{ dir: TempDir; env: NodeJS.ProcessEnv }> {
  const dir = await tempDir();
  writeFileSync(dir.join("config.json"), JSON.stringify({ uri, database: name }));
  const { program, args } = commandUnderTest();
  const words = [program, ...args].map((word) => `'${word}'`).join(" ");
  mkdirSync(dir.join("bin"));
  writeFileSync(dir.join("bin/mongotap"), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  return { dir, env: { ...process.env, PATH: `${dir.join("bin")}${delimiter}${process.env["PATH"]}` } };
}

/** What the lines leave in out.jsonl. */
async function outputsOf(section: string, repeated: number, idOf: (message: never) => unknown): Promise<unknown[]> {
  const database = await databaseWithOrders();
  const { dir, env } = await folderFor(database);
  await using _ = dir;
  const lines = exampleOf(section, database);
  const run = (flags: string, script: readonly string[]): unknown => {
    const { status, stderr } = spawnSync("sh", [flags, script.join("\n")], { cwd: dir.path, env, encoding: "utf8" });
    if (flags === "-ec" && status !== 0) throw new Error(stderr);
    const messages = readFileSync(dir.join("out.jsonl"), "utf8").trimEnd().split("\n");
    return messages
      .map((line) => JSON.parse(line) as { type: string })
      .flatMap((message) => (message.type === "RECORD" ? [idOf(message as never)] : []));
  };
  const outputs = [run("-ec", lines)];
  const again = lines.slice(-repeated);
  for (const _id of [3, undefined, 4]) {
    if (_id !== undefined) await database.db.collection<Doc>("orders").insertOne({ _id });
    outputs.push(run("-c", again));
  }
  return outputs;
}

test("Airbyte: one stream is read, and each later read has what has changed since", async () => {
  const idOf = ({ record }: { record: { data: Doc } }): number => record.data._id;
  expect(await outputsOf("Airbyte", 2, idOf)).toEqual([[1, 2], [3], [], [4]]);
}, 60_000);

test("Singer: the selected stream is read, and each later run has what has changed since", async () => {
  const idOf = ({ stream, record }: { stream: string; record: Doc }): unknown =>
    stream.endsWith("_orders") ? record._id : stream;
  expect(await outputsOf("Singer", 1, idOf)).toEqual([[1, 2], [3], [], [4]]);
}, 60_000);

test("Flow: the request opens a capture, which ends with its requests", async () => {
  const database = await databaseWithOrders();
  const { dir, env } = await folderFor(database);
  await using _ = dir;
  const child = spawn("sh", ["-c", exampleOf("Flow", database).join("\n")], { cwd: dir.path, env });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  try {
    await waitFor(() => output.includes('"phase":"live"'), { what: "the end of the copy", timeoutMs: 30_000 });
  } finally {
    child.stdin.end();
  }
  expect(await ended).toBe(0);
  expect(output.split("\n").filter((line) => line.startsWith('{"captured"'))).toHaveLength(2);
}, 60_000);
