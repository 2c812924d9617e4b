import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { MongoClient } from "mongodb";
import { digestOf } from "../support/digest.ts";
import { startProxy } from "../support/proxy.ts";
import { documents, insertEveryIdType } from "../support/documents.ts";
import { failCommand } from "../support/fail-point.ts";
import { sharedReplicaSet, testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { linesIn, type Tap, tapAt } from "./tap.ts";

const COUNT = 30_000;
/** The least that a chunk has: 64 KiB, so that there are many. */
const SMALL_CHUNKS = ["--max-memory", "1MB"];
const THREE = ["--workers", "3"];

/** Resolves when one of the files has contents. */
async function contentsOf(...paths: readonly string[]): Promise<void> {
  await waitFor(() => paths.some((path) => existsSync(path) && statSync(path).size > 0), { what: paths.join(" or ") });
}

let database: TestDatabase;
let tap: Tap;
let orders: string;
let alone: string;

beforeAll(async () => {
  database = await testDatabase();
  const { db, name, uri } = database;
  tap = tapAt(uri);
  orders = `${name}.orders`;
  await db.collection("orders").insertMany([...documents("small", COUNT)]);
  await db.collection("empty").createIndex({ a: 1 });
  await insertEveryIdType(db.collection("mixed"));
  await using dir = await tempDir();
  await tap.expect(0, ["backfill", name, "--out", dir.join("out"), "--workers", "1"]);
  alone = digestIn(dir.join("out"));
});

function digestIn(path: string): string {
  return digestOf(readFileSync(path));
}

describe("--workers", () => {
  test.each([2, 3, 8])("%p write, byte for byte, what one writes", async (workers) => {
    await using dir = await tempDir();
    const args = ["backfill", database.name, "--out", dir.join("out"), "--workers", `${workers}`, ...SMALL_CHUNKS];
    await tap.expect(0, args);
    expect(digestIn(dir.join("out"))).toBe(alone);
  });

  test("really read over connections of their own, from threads of their own", async () => {
    await using dir = await tempDir();
    const args = ["backfill", orders, "--out", dir.join("out"), ...THREE, ...SMALL_CHUNKS, "--rate-limit", "500kB"];
    await using program = tap.start(args);
    const admin = database.client.db("admin");
    let clients = new Set<string>();
    const deadline = Date.now() + 15_000;
    while (clients.size < 4 && Date.now() < deadline) {
      const match = { $match: { appName: "mongotap", desc: /^conn/ } };
      const idle = { $currentOp: { idleConnections: true, localOps: true } };
      const found = await admin.aggregate([idle, match]).toArray();
      clients = new Set(found.map(({ client }) => String(client)));
      if (process.platform === "linux" && program.pid !== undefined && clients.size >= 4) {
        const threads = /^Threads:\s*(\d+)/m.exec(readFileSync(`/proc/${program.pid}/status`, "utf8"))?.[1];
        expect(Number(threads)).toBeGreaterThan(4);
      }
    }
    expect(clients.size).toBeGreaterThanOrEqual(4);
    program.kill("SIGTERM");
    await program.done;
  });

  test("are stopped by a signal, which leaves whole lines and a state to go on from", async () => {
    await using dir = await tempDir();
    const out = dir.join("out");
    const args = ["backfill", database.name, "--out", out, "--state", dir.join("state"), ...THREE, ...SMALL_CHUNKS];
    await using program = tap.start([...args, "--rate-limit", "2MB"]);
    await contentsOf(dir.join("state"));
    program.kill("SIGTERM");
    expect((await program.done).code).toBe(12);
    await tap.expect(0, args);
    expect(digestIn(out)).toBe(alone);
  });

  test("whose connections break go on where the last line ends", async () => {
    const { members } = await sharedReplicaSet();
    await using proxy = await startProxy({ port: members[0].port });
    await using dir = await tempDir();
    const through = tapAt(`mongodb://127.0.0.1:${proxy.port}/?directConnection=true`);
    const args = ["backfill", database.name, "--out", dir.join("out"), ...THREE, ...SMALL_CHUNKS];
    await using program = through.start([...args, "--rate-limit", "3MB", "--retry-for", "30s"]);
    await contentsOf(dir.join("out"), dir.join("out.partial"));
    for (let cuts = 0; cuts < 3; cuts += 1) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      proxy.resetAll();
    }
    // An idle connection is reopened without a message.
    expect((await program.done).code).toBe(0);
    expect(proxy.accepted).toBeGreaterThan(2 * proxy.connections + 4);
    expect(digestIn(dir.join("out"))).toBe(alone);
  });

  test("report an error of the server once, as one thread would", async () => {
    await using client = await MongoClient.connect(database.uri);
    await using _failPoint = await failCommand(client, {
      failCommands: ["find"],
      errorCode: 13,
      skip: 3,
      appName: "mongotap",
    });
    await using dir = await tempDir();
    const { code, stderr } = await tap.run(["backfill", orders, "--out", dir.join("out"), ...THREE, ...SMALL_CHUNKS]);
    expect(code).toBe(5);
    expect(stderr.match(/cannot read/g)).toHaveLength(1);
  });

  describe("with documents that cannot be carried", () => {
    let bad: string;
    beforeAll(async () => {
      bad = `${database.name}.bad`;
      const mixed = [...documents("small", 5_000)].map((document, i) => ({
        ...document,
        list: i % 1_000 === 999 ? [1, "a"] : [1],
      }));
      await database.db.collection("bad").insertMany(mixed);
    });
    const ARRAYS = ["--arrays", "array"];

    test("end with 9 and name the first, behind all lines before it", async () => {
      await using dir = await tempDir();
      const args = ["backfill", bad, "--state", dir.join("state"), ...ARRAYS, ...SMALL_CHUNKS];
      const one = await tap.expect(9, [...args, "--out", dir.join("one"), "--workers", "1"]);
      const three = await tap.expect(9, [...args, "--out", dir.join("three"), "--fresh", ...THREE]);
      const messageOf = (stderr: string): string | undefined => stderr.split("\n").find((line) => line.includes("_id"));
      expect(messageOf(three.stderr)).toBe(messageOf(one.stderr));
      expect(messageOf(one.stderr)).toContain("list");
    });

    test("put them into quarantine, and count them", async () => {
      await using dir = await tempDir();
      const args = ["backfill", bad, ...ARRAYS, ...SMALL_CHUNKS, ...THREE, "--out", dir.join("out")];
      const { stderr } = await tap.expect(0, [...args, "--on-bad-document", `quarantine=${dir.join("bad")}`]);
      expect(stderr).toContain("5 documents that cannot be carried");
      expect(await linesIn(dir.join("bad"))).toHaveLength(5);
      expect(await linesIn(dir.join("out"))).toHaveLength(4_995);
    });
  });

  test("copy for a capture as well: the file folds to the collection, each key in commit order", async () => {
    const name = `${database.name}.busy`;
    const collection = database.db.collection<{ _id: number; v: number }>("busy");
    await collection.insertMany(Array.from({ length: 20_000 }, (_, _id) => ({ _id, v: 0 })));
    await using dir = await tempDir();
    const args = ["capture", name, "--out", dir.join("out"), "--state", dir.join("state"), ...THREE, ...SMALL_CHUNKS];
    let isDone = false;
    const writing = (async () => {
      for (let v = 1; !isDone; v += 1) await collection.updateOne({ _id: (v * 7_919) % 20_000 }, { $set: { v } });
    })();
    await tap.expect(0, [...args, "--until", "caught-up"]);
    isDone = true;
    await writing;
    await tap.expect(0, [...args, "--until", "caught-up"]);
    const last = new Map<unknown, { order: string; v: unknown }>();
    for (const { _id, v, _meta } of await linesIn(dir.join("out"))) {
      const order = _meta?.order ?? "";
      expect((last.get(_id)?.order ?? "") < order).toBe(true);
      last.set(_id, { order, v });
    }
    const found = new Map([...last].map(([_id, { v }]) => [_id, v]));
    expect(found).toEqual(new Map((await collection.find().toArray()).map(({ _id, v }) => [_id, v])));
  });

  test.each(["0", "-1", "two", "1.5"])("%s are refused", async (workers) => {
    const { stderr } = await tap.expect(2, ["backfill", orders, "--workers", workers]);
    expect(stderr).toContain("--workers");
  });
});
