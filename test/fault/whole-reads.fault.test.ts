/** Fault D16 of docs/reliability.md: views and time series, whose read is interrupted in the middle. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Tap, tapAt } from "../cli/tap.ts";
import type { Checkpoint } from "../../src/state/checkpoint.ts";
import { documents } from "../support/documents.ts";
import { failCommand, type FailCommandOptions } from "../support/fail-point.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { trialOf } from "./support/trial.ts";

setDefaultTimeout(120_000);

const OURS = { appName: "mongotap" } as const;
/** Small chunks, so that there are some to interrupt. */
const SLOWLY = ["--rate-limit", "700kB"] as const;
const COUNT = 4_000;

const { version } = await sharedReplicaSet();
const HAS_BUCKETS = !version.startsWith("5.");

let database: TestDatabase;
let tap: Tap;
let name: string;

beforeAll(async () => {
  database = await testDatabase();
  ({ name } = database);
  tap = tapAt(database.uri);
  const { db } = database;
  await db.collection("all").insertMany([...documents("small", COUNT)]);
  await db.collection("few").insertMany([...documents("small", 30)]);
  await db.createCollection("view", { viewOn: "all", pipeline: [{ $set: { seen: true } }] });
  await db.createCollection("series", { timeseries: { timeField: "at", metaField: "city" } });
  await db.collection("series").insertMany([...documents("small", COUNT)]);
});

/** What is below a folder, by name. A file that is not complete is told from others by its name. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = files.map(async (file) => [file.slice(folder.length + 1), await readFile(file, "utf8")] as const);
  return Object.fromEntries(await Promise.all(texts));
}

/** Fails a command of the run that is under way, when the output in `folder` has lines of `what` to lose. */
async function breakAmid(folder: string, file: string, options: FailCommandOptions): ReturnType<typeof failCommand> {
  const size = async (): Promise<number> => {
    const path = [join(folder, file), join(folder, `${file}.partial`)].find((one) => existsSync(one));
    return path === undefined ? 0 : (await readFile(path)).length;
  };
  await waitFor(async () => (await size()) > 60_000, { what: "lines", timeoutMs: 45_000 });
  return await failCommand(database.client, { ...OURS, ...options });
}

/** By kind: the command that reads it behind its first chunk. */
const KINDS = [
  ["all", "find"],
  ["view", "getMore"],
  ["series", HAS_BUCKETS ? "aggregate" : "getMore"],
] as const;

/** By kind of output: where it goes, the file in it that grows, and the options. */
const OUTPUTS = [
  ["a file", "out", "out", []],
  ["a file, with a state", "out", "out", ["--state", "STATE"]],
  ["a folder", "out/", "", []],
  ["a folder, with a state", "out/", "", ["--state", "STATE"]],
  ["a file, with a quarantine", "out", "out", ["--on-bad-document", "quarantine=BAD"]],
] as const;

describe.each(KINDS)("%s, read by %s", (collection, command) => {
  test.each(OUTPUTS)("D16 one broken connection costs nothing: %s", async (_, out, grows, options) => {
    await using calm = await tempDir();
    await using dir = await tempDir();
    await using states = await tempDir();
    const argsFor = (folder: string, more: readonly string[]): string[] => [
      "backfill",
      `${name}.few`,
      `${name}.${collection}`,
      "--out",
      `${folder}/${out}`,
      ...options.map((arg) => arg.replace("STATE", states.join(basename(folder))).replace("BAD", `${folder}/bad`)),
      ...more,
    ];
    const undisturbed = await tap.expect(0, argsFor(calm.path, []));
    await using program = tap.start(argsFor(dir.path, SLOWLY));
    const file = grows === "" ? `out/${name}.${collection}.ndjson` : grows;
    await using failPoint = await breakAmid(dir.path, file, {
      failCommands: [command],
      closeConnection: true,
      times: 1,
    });
    await failPoint.waitForHits(1);
    const { code, stderr } = await program.done;
    expect([code, stderr.match(/trying again/g)?.length]).toEqual([0, 1]);
    expect(await contentOf(dir.path)).toEqual(await contentOf(calm.path));
    // What was taken back is not counted.
    const copied = (text: string): string => /[\d,]+ documents, [\d.]+ .?B/.exec(text)?.[0] ?? "";
    expect(copied(stderr)).toBe(copied(undisturbed.stderr));
    expect(copied(stderr)).toStartWith((COUNT + 30).toLocaleString("en-US"));
  });
});

test("D16 --limit counts what was taken back and read again once", async () => {
  await using dir = await tempDir();
  const args = ["backfill", `${name}.few`, `${name}.view`, "--out", dir.join("out"), "--limit", "3000"];
  await using program = tap.start([...args, ...SLOWLY]);
  await using failPoint = await breakAmid(dir.path, "out", {
    failCommands: ["getMore"],
    closeConnection: true,
    times: 1,
  });
  await failPoint.waitForHits(1);
  const { code, stderr } = await program.done;
  expect([code, stderr]).toEqual([0, expect.stringContaining("3,000 documents")]);
  await using calm = await tempDir();
  await tap.expect(0, args.with(-3, calm.join("out")));
  expect(await contentOf(dir.path)).toEqual(await contentOf(calm.path));
});

test("D16 a server that shuts down amid a view is no refusal, and no position is spoken of where there is none", async () => {
  await using dir = await tempDir();
  await using program = tap.start(["backfill", `${name}.view`, "--out", dir.join("out"), ...SLOWLY]);
  await using failPoint = await breakAmid(dir.path, "out", { failCommands: ["getMore"], errorCode: 11600, times: 2 });
  await failPoint.waitForHits(2);
  const { code, stderr } = await program.done;
  expect([code, stderr.match(/server code 11600\); trying again/g)?.length]).toEqual([0, 2]);
  expect(stderr).not.toContain("position");
});

test("D16 a view that loses its snapshot is read again without one", async () => {
  await using dir = await tempDir();
  await using program = tap.start(["backfill", `${name}.view`, "--out", dir.join("out"), ...SLOWLY]);
  await using failPoint = await breakAmid(dir.path, "out", { failCommands: ["getMore"], errorCode: 239, times: 1 });
  await failPoint.waitForHits(1);
  const { code, stderr } = await program.done;
  expect(code).toBe(0);
  expect(stderr).toContain(`${name}.view takes longer to read than the server keeps a snapshot (server code 239)`);
  expect((await contentOf(dir.path))["out"]?.match(/\n/g)).toHaveLength(COUNT);
});

test("D16 a view of a capped collection, which has no snapshots, is copied", async () => {
  await database.db.createCollection("capped", { capped: true, size: 1 << 20 });
  await database.db.collection("capped").insertMany([...documents("small", 50)]);
  await database.db.createCollection("of-capped", { viewOn: "capped", pipeline: [] });
  await database.db.createCollection("both", { viewOn: "few", pipeline: [{ $unionWith: "capped" }] });
  for (const [view, count] of [
    ["of-capped", 50],
    ["both", 80],
  ] as const) {
    await using trial = await trialOf(database.uri, ["backfill", `${name}.${view}`]);
    await trial.expect(0);
    expect([view, (await trial.lines()).length]).toEqual([view, count]);
  }
});

test("D16 a view that always fails ends with 4 when the time for it is over; the next run reads it from its beginning", async () => {
  await using trial = await trialOf(database.uri, ["backfill", `${name}.few`, `${name}.view`]);
  await using program = trial.start([...SLOWLY, "--retry-for", "1s"]);
  await trial.waitForLines(300);
  {
    await using _failing = await failCommand(database.client, { ...OURS, failCommands: ["getMore"], errorCode: 11600 });
    const { code, stderr } = await program.done;
    expect([code, stderr]).toEqual([4, expect.stringContaining("trying again")]);
  }
  // Committed before the view began.
  const { position, outputs } = await trial.saved();
  expect(position.collections[`${name}.few`]).toMatchObject({ phase: "copying", ranges: [{ done: true }] });
  expect(position.collections).not.toHaveProperty(`${name}.view`);
  expect(outputs).toMatchObject([{ lines: 30 }]);
  const { stderr } = await trial.expect(0);
  expect(stderr).toContain(`${COUNT.toLocaleString("en-US")} documents`);
  expect(await trial.lines()).toHaveLength(COUNT + 30);
});

test("D16 kill -9 amid a view costs the view, and amid a time series at most a chunk", async () => {
  for (const [collection, seen] of [
    ["view", 1],
    ["series", HAS_BUCKETS ? 2 : 1],
  ] as const) {
    await using trial = await trialOf(database.uri, ["backfill", `${name}.few`, `${name}.${collection}`]);
    await using calm = await trialOf(database.uri, ["backfill", `${name}.few`, `${name}.${collection}`]);
    await calm.expect(0);
    await using program = trial.start(["--rate-limit", "300kB"]);
    const isAmid = ({ position: { collections } }: Checkpoint): boolean => {
      const state = collections[`${name}.${collection}`];
      return seen === 1 ? state === undefined : state?.phase === "copying" && state.ranges[0].last !== undefined;
    };
    await trial.waitForSaved(isAmid, "a position amid it");
    await trial.waitForLines(1_000);
    program.kill("SIGKILL");
    await program.done.catch(() => undefined);
    const saved = (await trial.saved()).outputs[0]?.lines ?? 0;
    const { stderr } = await trial.expect(0);
    expect([collection, saved === 30]).toEqual([collection, seen === 1]);
    expect(stderr).toContain(`${(COUNT + 30 - saved).toLocaleString("en-US")} documents`);
    expect(await readFile(trial.out, "utf8")).toBe(await readFile(calm.out, "utf8"));
  }
});

describe("D16 what has no place to go on from says so before it begins", () => {
  const AS_A_WHOLE = HAS_BUCKETS ? "may not read" : "older than 6.0";

  /** Runs without the right to read the buckets. */
  async function withoutBuckets(args: readonly string[]): Promise<string> {
    await using _refused = await failCommand(database.client, { ...OURS, failCommands: ["aggregate"], errorCode: 13 });
    return (await tap.expect(0, ["backfill", `${name}.few`, `${name}.series`, ...args])).stderr;
  }

  test("on standard output: the run ends with the connection, and repeats no line", async () => {
    await using program = tap.start(["backfill", `${name}.view`, ...SLOWLY]);
    expect(await program.waitForStderr((line) => line.includes("view"))).toBe(
      `mongotap: ${name}.view is a view: if the connection breaks, its copy on standard output cannot go on, and the run ends`,
    );
    await program.waitForLine(() => true);
    await using failPoint = await failCommand(database.client, {
      ...OURS,
      failCommands: ["getMore"],
      closeConnection: true,
      times: 1,
    });
    await failPoint.waitForHits(1);
    const { code, stdout, stderr } = await program.done;
    expect([code, stderr.includes("trying again")]).toEqual([4, false]);
    const ids = stdout.trimEnd().split("\n");
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("a time series on standard output by bucket goes on", async () => {
    if (!HAS_BUCKETS) return;
    await using program = tap.start(["backfill", `${name}.series`, ...SLOWLY]);
    await program.waitForLine(() => true);
    await using failPoint = await failCommand(database.client, {
      ...OURS,
      failCommands: ["aggregate"],
      closeConnection: true,
      times: 1,
    });
    await failPoint.waitForHits(1);
    const { code, stdout, stderr } = await program.done;
    expect([code, stderr.match(/\n/g)?.length, stderr.includes("trying again")]).toEqual([0, 2, true]);
    expect(new Set(stdout.trimEnd().split("\n")).size).toBe(COUNT);
  });

  test("with a state: an interrupted copy of a view begins again; one of a collection, or a finished one, does not", async () => {
    await using trial = await trialOf(database.uri, ["backfill", `${name}.few`, `${name}.view`]);
    const said = `${name}.view is a view: a copy of it that is interrupted begins again with its first document\n`;
    expect((await trial.expect(0)).stderr).toStartWith(`mongotap: ${said}`);
    expect((await trial.expect(0)).stderr).not.toContain("is a view");
  });

  test("with --retry-for 0s the run ends with the first error, and says so before", async () => {
    await using trial = await trialOf(database.uri, ["backfill", `${name}.view`]);
    await using program = trial.start([...SLOWLY, "--retry-for", "0s"]);
    await trial.waitForLines(300);
    await using failPoint = await failCommand(database.client, {
      ...OURS,
      failCommands: ["getMore"],
      errorCode: 11600,
    });
    const { code, stderr } = await program.done;
    await failPoint.waitForHits(1);
    expect([code, stderr]).toEqual([4, expect.stringContaining("cannot go on, and the run ends")]);
    expect(stderr).not.toContain("trying again");
  });

  test("a process says nothing of a view that another shard reads", async () => {
    await using dir = await tempDir();
    const said: boolean[] = [];
    const copied: boolean[] = [];
    for (const index of [0, 1, 2]) {
      const out = dir.join(`${index}`);
      const args = ["backfill", `${name}.few`, `${name}.view`, "--shard", `${index}/3`, "--ranges", dir.join("ranges")];
      const { stderr } = await tap.expect(0, [...args, "--out", `${out}/`, "--state", `${out}.state`]);
      said.push(stderr.includes("is a view"));
      copied.push(Object.keys(await contentOf(out)).some((file) => file.includes("view")));
    }
    expect(said).toEqual(copied);
    expect(said.filter(Boolean)).toHaveLength(1);
  });

  test("into a file without a state: a view says nothing", async () => {
    await using dir = await tempDir();
    const { stderr } = await tap.expect(0, ["backfill", `${name}.view`, "--out", dir.join("out")]);
    expect(stderr.match(/\n/g)).toHaveLength(1);
  });

  test("a time series whose buckets may not be read is read as a whole, and goes on so", async () => {
    await using dir = await tempDir();
    const by = ["--out", dir.join("by")];
    await tap.expect(0, ["backfill", `${name}.few`, `${name}.series`, ...by]);
    expect(await withoutBuckets(["--out", dir.join("whole")])).toMatch(
      new RegExp(
        `series is read as a whole, because .*${AS_A_WHOLE}.*: if the connection breaks, its copy begins again`,
      ),
    );
    const { by: first, whole } = await contentOf(dir.path);
    expect(whole).toBe(first);
    expect(await withoutBuckets(["--out", "-"])).toContain("its copy on standard output cannot go on");
  });
});

test("D16 a time series that was dropped and made again between two runs is no continuation", async () => {
  if (!HAS_BUCKETS) return;
  const { db } = database;
  const make = async (): Promise<void> => {
    await db.createCollection("again", { timeseries: { timeField: "at", metaField: "city" } });
    await db.collection("again").insertMany([...documents("small", COUNT)]);
  };
  await make();
  await using trial = await trialOf(database.uri, ["backfill", `${name}.again`]);
  await using program = trial.start(SLOWLY);
  await trial.waitForSaved(({ position }) => Object.keys(position.collections).length === 1, "a position");
  program.kill("SIGKILL");
  await program.done.catch(() => undefined);
  await db.collection("again").drop();
  await make();
  expect((await trial.expect(7)).stderr).toContain("was dropped or re-created");
});
