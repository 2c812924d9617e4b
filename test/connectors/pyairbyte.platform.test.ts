/** PyAirbyte reads from the program into DuckDB: what it has loaded is what a find returns. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Long } from "mongodb";
import { guardProcess } from "../../npm/mongod/watchdog.ts";
import { requirePython } from "../../scripts/python.ts";
import { firstDifference } from "../cli/tap.ts";
import { commandUnderTest } from "../support/command.ts";
import { testDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

const python = join(requirePython("airbyte"), "python");

type Row = Readonly<Record<string, string | null>>;
interface Answer {
  readonly error?: string;
  readonly text?: string;
  readonly records?: number;
}

/** A script of a user that has imported PyAirbyte. Each config has a name, and a cache of its own. */
class PyAirbyte implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #release: () => void;
  readonly dir: TempDir;
  readonly executable: string;
  output = "";

  private constructor(dir: TempDir, executable: string) {
    this.dir = dir;
    this.executable = executable;
    const { HOME: _, ...inherited } = process.env;
    const env = {
      ...inherited,
      HOME: dir.path,
      TMPDIR: dir.path,
      AIRBYTE_OFFLINE_MODE: "1",
      NO_LIVE_PROGRESS: "1",
      AIRBYTE_LOGGING_ROOT: dir.join("logs"),
      AIRBYTE_PROJECT_DIR: dir.path,
      AIRBYTE_TEMP_DIR: dir.path,
      DO_NOT_TRACK: "1",
      MONGOTAP_URI: "nonsense",
    };
    const script = join(import.meta.dirname, "pyairbyte.py");
    this.#child = spawn(python, [script, executable], { env, cwd: dir.path, stdio: ["pipe", "pipe", "pipe", "pipe"] });
    this.#release = guardProcess(this.#child.pid ?? 0);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (bytes: Buffer) => (this.output += bytes.toString()));
    const answers = this.#child.stdio[3];
    if (answers === null || answers === undefined || !("read" in answers)) throw new Error("no descriptor 3");
    this.#answers = createInterface({ input: answers })[Symbol.asyncIterator]();
  }

  /** Calls the program by a link, because clients run one path and append their own arguments. */
  static async start(): Promise<PyAirbyte> {
    const dir = await tempDir();
    const { program, args } = commandUnderTest();
    if (args.length > 0) throw new Error("this test calls the binary by a link");
    await symlink(program, dir.join("source-mongotap"));
    return new PyAirbyte(dir, dir.join("source-mongotap"));
  }

  async setConfig(name: string, config: Readonly<Record<string, unknown>>): Promise<void> {
    await writeFile(this.dir.join(`${name}.json`), JSON.stringify(config));
  }

  async read(name: string): Promise<Answer> {
    return (await this.#ask(`read ${name}`)) as Answer;
  }

  /** By its table, the rows that are not deleted, and those that are. */
  async rows(
    name: string,
    table: string,
  ): Promise<{ readonly live: readonly Row[]; readonly deleted: readonly Row[] }> {
    const { [table]: all, ...others } = (await this.#ask(`rows ${name}`)) as Readonly<Record<string, readonly Row[]>>;
    if (all === undefined) throw new Error(`no table ${table}: ${JSON.stringify(others).slice(0, 1_000)}`);
    const isLive = (row: Row): boolean => row["_ab_cdc_deleted_at"] === null;
    return { live: all.filter((row) => isLive(row)), deleted: all.filter((row) => !isLive(row)) };
  }

  async #ask(command: string): Promise<unknown> {
    this.#child.stdin?.write(`${command}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`python ended: ${this.output}`);
    return JSON.parse(value);
  }

  /** The lines of its log files that warn of something. */
  async warnings(): Promise<readonly string[]> {
    const files = await readdir(this.dir.join("logs"), { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), "utf8")),
    );
    if (!texts.some((text) => text.includes("Read completed"))) throw new Error("these are not the logs of reads");
    const lines = [...texts, this.output].flatMap((text) => text.split("\n"));
    const warnings = lines.filter((line) => /warn|error|could not|exception|traceback/i.test(line));
    return warnings.filter((line) => !line.includes("FutureWarning: You are using a Python version"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await ended;
    this.#release();
    await this.dir[Symbol.asyncDispose]();
  }
}

let client: PyAirbyte;

beforeAll(async () => {
  client = await PyAirbyte.start(); // it needs seconds to import PyAirbyte: once for all tests
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

interface Order {
  readonly _id: number;
  readonly n?: number;
  readonly big?: Long;
  readonly text?: string;
  readonly at?: Date;
  readonly lines?: readonly { readonly sku: string }[];
  readonly late?: string;
}

const BIG = "9007199254740993";

function orderOf(i: number): Order {
  return {
    _id: i,
    n: i * 2,
    big: Long.fromString(BIG),
    text: `é ${i} \u2028 "quoted"`,
    at: new Date(Date.UTC(2026, 0, 1, 0, 0, i)),
    lines: [{ sku: `s-${i}` }],
  };
}

/** A document as a row of the tables of PyAirbyte. */
function rowOf({ _id, n, big, text, at, lines, late }: Order): Row {
  const own = (value: { toString(): string } | undefined): string | null => value?.toString() ?? null;
  return {
    _id: String(_id),
    n: own(n),
    big: own(big),
    text: own(text),
    at: at === undefined ? null : at.toISOString().slice(0, -5),
    lines: lines === undefined ? null : JSON.stringify(lines),
    late: own(late),
  };
}

function byId(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => Number(a["_id"]) - Number(b["_id"]));
}

/** Only these columns. */
function columnsOf(rows: readonly Row[], columns: readonly string[]): Row[] {
  return rows.map((row) => Object.fromEntries(columns.map((name) => [name, row[name] ?? null])));
}

const COLUMNS = ["_id", "n", "big", "text", "at", "lines", "late"];

test("columns: a first read, increments with a new field, and a read that is killed: the rows are those of a find", async () => {
  const { db, name, uri } = await testDatabase();
  const orders = db.collection<Order>("orders");
  await orders.insertMany(Array.from({ length: 500 }, (_, i) => orderOf(i)));
  await db.collection("other").insertMany([{ a: 1 }, { a: 2 }]);
  const config = { uri, database: name };
  await client.setConfig("columns", config);
  const table = `${name}_orders`;
  const expectRows = async (): Promise<void> => {
    const { live } = await client.rows("columns", table);
    const expected = await orders.find({}, { promoteLongs: false }).toArray();
    const texts = (rows: readonly Row[]): string[] => byId(columnsOf(rows, COLUMNS)).map((row) => JSON.stringify(row));
    expect(firstDifference(texts(live), texts(expected.map((order) => rowOf(order))))).toBeUndefined();
  };
  expect(await client.read("columns")).toEqual({ records: 502 });
  await expectRows();

  await orders.insertOne({ ...orderOf(1_000), late: "new field" });
  await orders.updateOne({ _id: 1 }, { $set: { n: -1 }, $unset: { text: "" } });
  await orders.deleteOne({ _id: 2 });
  expect(await client.read("columns")).toEqual({ records: 3 });
  await expectRows();

  // A copy of another collection, slow enough to be killed in the middle.
  await db
    .collection("slow")
    .insertMany(Array.from({ length: 3_000 }, (_, i) => ({ _id: i, text: "x".repeat(1_000) })) as never[]);
  await orders.deleteMany({ _id: { $in: [3, 4] } });
  await client.setConfig("columns", { ...config, rateLimit: "200KB", maxMemory: "1MB" });
  const killed = client.read("columns");
  const pid = await waitFor(() => pidOf(client.executable, "read"), { what: "the read", timeoutMs: 60_000 });
  process.kill(pid, "SIGKILL");
  expect((await killed).error).toBe("AirbyteConnectorFailedError");
  await client.setConfig("columns", config);
  expect(await client.read("columns")).toEqual({ records: 3_002 });
  await expectRows();

  await orders.replaceOne({ _id: 5 }, { n: 55 });
  expect(await client.read("columns")).toEqual({ records: 1 });
  await expectRows();
  expect((await client.rows("columns", table)).deleted.map((row) => row["_id"])).toEqual(["2", "3", "4"]);
  expect((await client.rows("columns", `${name}_slow`)).live).toHaveLength(3_000);
}, 180_000);

test("one column: fields that PyAirbyte cannot have as columns are loaded as they are", async () => {
  const { db, name, uri } = await testDatabase();
  const odd = db.collection<{ _id: number; [field: string]: unknown }>("odd");
  await odd.insertMany([
    { _id: 1, "": 1, Foo: 1, foo: 2, "a.b": { $id: [1, "x"] }, 日本: Long.fromString(BIG), tiny: 1e-12, mixed: 1 },
    { _id: 2, _ID: 3, a_b: 1, mixed: "text", nothing: null },
  ]);
  await client.setConfig("data", { uri, database: name, columns: "data" });
  expect(await client.read("data")).toEqual({ records: 2 });
  await odd.updateOne({ _id: 2 }, { $set: { mixed: [1] } });
  await odd.deleteOne({ _id: 1 });
  expect(await client.read("data")).toEqual({ records: 2 });
  const { live, deleted } = await client.rows("data", `${name}_odd`);
  expect(live.map((row) => JSON.parse(row["data"] ?? "") as unknown)).toEqual([
    { _id: 2, _ID: 3, a_b: 1, mixed: [1], nothing: null },
  ]);
  expect(deleted.map((row) => row["_id"])).toEqual(["1"]);
}, 120_000);

test("no message of PyAirbyte is a warning", async () => {
  expect(await client.warnings()).toEqual([]);
});

/** The process that was called by `path` with this word, if there is one. */
async function pidOf(path: string, word: string): Promise<number | undefined> {
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const [program, ...args] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (program === path && args.includes(word)) return Number(pid);
  }
  return undefined;
}
