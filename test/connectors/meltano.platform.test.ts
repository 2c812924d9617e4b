/** Meltano runs the tap with target-jsonl: state, selection, full refresh; and has nothing to complain of. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Collection, type Document, ObjectId } from "mongodb";
import { requirePython } from "../../scripts/python.ts";
import { must } from "../../src/errors.ts";
import { textLinesOf } from "../cli/tap.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { tapProgram } from "./tap-program.ts";

const meltano = join(requirePython("meltano"), "meltano");
const target = join(requirePython("target-jsonl"), "target-jsonl");

let dir: TempDir;
let database: TestDatabase;
let orders: Collection;
let id: string;

beforeAll(async () => {
  dir = await tempDir();
  database = await testDatabase();
  orders = database.db.collection("orders");
  id = `${database.name}_orders`;
  await orders.insertMany([...documents("typical", 200)]);
  await database.db.collection("users").insertOne({ name: "not selected" });
  await writeFile(dir.join("meltano.yml"), await projectOf());
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

/** A plugin with the name `mongotap`: Meltano then sets variables that begin with MONGOTAP_. */
async function projectOf(): Promise<string> {
  return `project_id: 3f0a2b1c-0000-4000-8000-000000000000
default_environment: dev
environments:
  - name: dev
plugins:
  extractors:
    - name: mongotap
      namespace: mongotap
      executable: ${await tapProgram(dir)}
      capabilities: [about, catalog, discover, state]
      settings:
        - name: uri
          sensitive: true
        - name: database
        - name: columns
        - name: sample
          kind: integer
      config:
        uri: ${database.uri}
        database: ${database.name}
      select:
        - ${id}.*
        - "!${id}.secret"
        - "!${id}.in.drop"
    - name: mongotap-declared
      inherit_from: mongotap
      config:
        sample: 0
      select:
        - ${id}.*
        - "!${id}.rare"
      schema:
        ${id}:
          sequence: {type: ["null", integer]}
          rare: {type: ["null", string]}
  loaders:
    - name: target-jsonl
      namespace: target_jsonl
      executable: ${target}
      settings:
        - name: destination_path
        - name: do_timestamp_file
          kind: boolean
      config:
        destination_path: loaded
        do_timestamp_file: false
`;
}

/** What Meltano always says of a first run, at the level of a warning. */
const NO_STATE = "No state was found, complete import.";

/** Runs Meltano; returns what it has said. Throws where it fails, and where it warns. */
function run(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(meltano, args, {
    cwd: dir.path,
    encoding: "utf8",
    env: {
      ...process.env,
      MELTANO_SEND_ANONYMOUS_USAGE_STATS: "false",
      NO_COLOR: "1",
      HOME: dir.path,
      TMPDIR: dir.path,
    },
  });
  const said = `${stdout}${stderr}`;
  if (status !== 0) throw new Error(said);
  const complaints = said
    .split("\n")
    .filter((line) => /warn|error|critical|deprecat|traceback/i.test(line) && !line.includes(NO_STATE));
  if (complaints.length > 0) throw new Error(`it complains: ${complaints.join("\n")}`);
  return said;
}

/** The lines that the target has written since the last call. */
async function loaded(): Promise<Document[]> {
  const path = dir.join("loaded", `${id}.jsonl`);
  const text = await readFile(path, "utf8");
  await rm(path);
  return textLinesOf(text).map((line) => JSON.parse(line) as Document);
}

const rows = new Map<string, Document>();

function fold(lines: readonly Document[]): void {
  for (const { _sdc_deleted_at: deletedAt, ...row } of lines) {
    if (deletedAt === null) rows.set(String(row["_id"]), row);
    else rows.delete(String(row["_id"]));
  }
}

/** What is in the collection, as JSON has it. */
async function inCollection(): Promise<Map<string, Document>> {
  const found = await orders
    .find({}, { projection: { secret: 0, "in.drop": 0 } })
    .sort({ _id: 1 })
    .toArray();
  return new Map(found.map((document) => [String(document["_id"]), JSON.parse(plain(document)) as Document]));
}

/** Decimals are text in `format: plain`. */
function plain(document: Document): string {
  return JSON.stringify(document).replaceAll(/\{"\$numberDecimal":("[^"]*")\}/g, "$1");
}

function sorted(map: ReadonlyMap<string, Document>): (readonly [string, Document])[] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test("meltano run: three runs with state load what a find finds, and a full refresh loads it again", async () => {
  const fresh = { _id: new ObjectId(), sequence: 1, secret: { x: 1 }, in: { keep: 1, drop: 2 } };
  await orders.insertOne(fresh);
  run("run", "mongotap", "target-jsonl");
  expect(await readdir(dir.join("loaded"))).toEqual([`${id}.jsonl`]);
  const first = await loaded();
  expect(first).toHaveLength(201);
  expect(first.find(({ _id }) => _id === fresh._id.toHexString())).toEqual({
    _id: fresh._id.toHexString(),
    sequence: 1,
    in: { keep: 1 },
    _sdc_deleted_at: null,
  });
  fold(first);
  expect(sorted(rows)).toEqual(sorted(await inCollection()));

  const [one, two, three] = (await orders.find().limit(3).toArray()).map(({ _id }) => _id);
  await orders.insertMany([...documents("typical", 20, 1_000)]);
  await orders.updateOne({ _id: must(one, "a document") }, { $set: { sequence: 17 } });
  await orders.deleteOne({ _id: must(two, "a document") });
  run("run", "mongotap", "target-jsonl");
  const second = await loaded();
  expect(second).toHaveLength(22);
  fold(second);
  expect(sorted(rows)).toEqual(sorted(await inCollection()));

  await orders.deleteOne({ _id: must(three, "a document") });
  run("run", "mongotap", "target-jsonl");
  const third = await loaded();
  expect(third).toHaveLength(1);
  fold(third);
  expect(sorted(rows)).toEqual(sorted(await inCollection()));

  run("run", "--full-refresh", "mongotap", "target-jsonl");
  const again = await loaded();
  expect(again).toHaveLength(rows.size);
  rows.clear();
  fold(again);
  expect(sorted(rows)).toEqual(sorted(await inCollection()));
}, 180_000);

test("meltano run: a field that no sampled document has is left out where schema declares it", async () => {
  await orders.insertOne({ sequence: 1, rare: "secret", other: 1 });
  run("run", "mongotap-declared", "target-jsonl");
  const lines = await loaded();
  expect(lines).toHaveLength(await orders.countDocuments());
  expect(new Set(lines.flatMap((line) => Object.keys(line)))).toEqual(new Set(["_id", "sequence", "_sdc_deleted_at"]));
});
