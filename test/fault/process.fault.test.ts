/** Faults I2, I3, I5, I8–I10 and D9 of docs/reliability.md: readers that are slow, terminals that are gone, long sleeps. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { spawn } from "node:child_process";
import { MongoClient } from "mongodb";
import { type ReplicaSet, startReplicaSet } from "../../scripts/mongod.ts";
import { linesOf, type Tap, tapAt } from "../cli/tap.ts";
import { commandUnderTest } from "../support/command.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { faultsOf } from "./support/oracle.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

let set: ReplicaSet;
let client: MongoClient;
let tap: Tap;

beforeAll(async () => {
  set = await startReplicaSet({ members: 1, cacheGB: 0.5 });
  client = await MongoClient.connect(set.uri, { writeConcern: { w: "majority" } });
  tap = tapAt(set.uri);
});

afterAll(async () => {
  await client.close();
  await set.stop();
});

interface Numbered {
  readonly _id: number;
  readonly text?: string;
}

const MB = 1024 * 1024;

async function fill(name: string, count: number, text: string): Promise<void> {
  const collection = client.db("slow").collection<Numbered>(name);
  for (let from = 0; from < count; from += 100) {
    await collection.insertMany(
      Array.from({ length: Math.min(100, count - from) }, (_, i) => ({ _id: from + i, text })),
    );
  }
}

async function residentMB(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** What happens by itself after 30 minutes in which a session was not used: it goes, and its cursors with it. */
async function expireSessions(): Promise<void> {
  const admin = client.db("admin");
  await waitFor(
    async () => {
      await admin.command({ refreshLogicalSessionCacheNow: 1 });
      await client.db("config").collection("system.sessions").deleteMany({});
      await admin.command({ refreshLogicalSessionCacheNow: 1 });
      return (await ourCursors()) === 0;
    },
    { what: "the cursors of mongotap to be gone", timeoutMs: 30_000, everyMs: 200 },
  );
}

async function ourCursors(): Promise<number> {
  const match = { $match: { "cursor.originatingCommand.comment": "mongotap" } };
  return (
    await client
      .db("admin")
      .aggregate([{ $currentOp: { idleCursors: true } }, match])
      .toArray()
  ).length;
}

test("I2 D9 a reader that sleeps longer than cursors live, and then reads slowly, gets everything; memory stays bounded", async () => {
  await fill("sleepy", 1_500, "x".repeat(40_000));
  const collection = client.db("slow").collection<Numbered>("sleepy");
  await using capture = tap.start(["capture", "slow.sleepy"], { paused: true });
  // Its stream is open, its pipe is full, and no process reads.
  await waitFor(async () => (await ourCursors()) > 0, { what: "an open cursor", timeoutMs: 40_000 });
  await Bun.sleep(2_000);
  await expireSessions();
  await collection.insertOne({ _id: 1_500 });
  const most = await residentMB(capture.pid);
  capture.resumeStdout();
  for (const _id of [1_499, 1_500]) await capture.waitForLine((line) => line.startsWith(`{"_id":${_id},`), 50_000);
  capture.kill("SIGTERM");
  const { stdout, stderr } = await capture.done;
  expect(stderr).toContain("trying again");
  expect(await faultsOf(linesOf(stdout), collection as never)).toEqual([]);
  expect(most).toBeLessThan(300);
});

test("I10 a capture that is suspended until its cursor is gone goes on where it was", async () => {
  const collection = client.db("slow").collection<Numbered>("suspended");
  await collection.insertOne({ _id: 0 });
  await using trial = await trialOf(set.uri, ["capture", "slow.suspended"]);
  await using capture = trial.start();
  await trial.waitForLines(1);
  capture.kill("SIGSTOP");
  expect(await ourCursors()).toBeGreaterThan(0);
  await expireSessions();
  await collection.insertOne({ _id: 1 });
  capture.kill("SIGCONT");
  await trial.waitForLines(2);
  capture.kill("SIGTERM");
  expect(await capture.done).toMatchObject({ code: 0, stderr: expect.stringContaining("trying again") });
  expect(await faultsOf(await trial.lines(), collection as never)).toEqual([]);
});

test("I3 a reader that is killed in the middle gets the rest again, and never less, from the next run", async () => {
  await fill("cut", 2_000, "y".repeat(2_000));
  await using dir = await tempDir();
  const args = ["tail", "slow.cut", "--state", dir.join("state"), "--allow-missing"];
  await tap.expect(0, [...args, ...CAUGHT_UP]);
  await client
    .db("slow")
    .collection<Numbered>("cut")
    .updateMany({}, { $set: { text: "z".repeat(2_000) } });
  const first = tap.start(args);
  await first.waitForLine((line) => line.startsWith('{"_id":500,'));
  first.closeStdout();
  // All may have been written by now: without another write, the closed pipe goes unnoticed.
  const cut = client.db("slow").collection<Numbered>("cut");
  const again = setInterval(() => void cut.updateOne({ _id: 0 }, { $inc: { n: 1 } }), 50);
  const { code } = await first.done;
  clearInterval(again);
  expect(code).toBe(141);
  const { stdout } = await tap.expect(0, [...args, ...CAUGHT_UP]);
  const delivered = [...first.stdout.split("\n").slice(0, -1), ...stdout.split("\n").slice(0, -1)];
  const ids = new Set(delivered.map((line) => (JSON.parse(line) as Numbered)._id));
  expect(ids.size).toBe(2_000);
});

test("I5 without environment, terminal and stdin, as under cron, and in a session of its own, everything works", async () => {
  await fill("cron", 10, "");
  const { program, args } = commandUnderTest();
  for (const detached of [false, true]) {
    const child = spawn(program, [...args, "backfill", "slow.cron", "--uri", set.uri], {
      env: {},
      cwd: "/",
      detached,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([code, linesOf(text).length]).toEqual([0, 10]);
  }
});

test("I8 a standard error that is closed or full costs no data", async () => {
  await fill("mute", 10, "");
  await using dir = await tempDir();
  const { program, args } = commandUnderTest();
  for (const [name, redirection] of [
    ["closed", "2>&-"],
    ["full", "2>/dev/full"],
  ] as const) {
    const out = dir.join(name);
    const shell = `exec "$@" ${redirection}`;
    const command = [program, ...args, "backfill", "slow.mute", "--uri", set.uri, "--out", out, "--log-level", "debug"];
    const child = spawn("sh", ["-c", shell, "sh", ...command], { stdio: "ignore" });
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([name, code, linesOf(await Bun.file(out).text()).length]).toEqual([name, 0, 10]);
  }
});

test("I9 documents of 15 MB go through in bounded memory", async () => {
  const collection = client.db("slow").collection<Numbered>("huge");
  for (let _id = 0; _id < 12; _id += 1) await collection.insertOne({ _id, text: "w".repeat(15 * MB) });
  await using dir = await tempDir();
  const fd = openSync("/dev/null", "w");
  try {
    await using capture = tap.start(["capture", "slow.huge", "--out", dir.join("out"), ...CAUGHT_UP], { stdout: fd });
    let most = 0;
    const look = setInterval(
      () =>
        void residentMB(capture.pid)
          .then((mb) => (most = Math.max(most, mb)))
          .catch(() => undefined),
      50,
    );
    const { code, stderr } = await capture.done;
    clearInterval(look);
    expect([code, stderr]).toEqual([0, expect.stringContaining("12 documents")]);
    expect(most).toBeLessThan(800);
  } finally {
    closeSync(fd);
  }
});
