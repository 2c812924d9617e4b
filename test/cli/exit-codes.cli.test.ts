/** Each documented exit code, produced; and that none is missing here. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { MongoClient } from "mongodb";
import { type Kind, POLICY } from "../../src/errors.ts";
import { startStandalone } from "../../scripts/mongod.ts";
import { CANARY, type CliResult, run } from "../support/cli.ts";
import { failCommand } from "../support/fail-point.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { type Tap, tapAt } from "./tap.ts";
import { startMockServer } from "./wire.ts";

let database: TestDatabase;
let tap: Tap;
let orders: string;
let dir: TempDir;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  orders = `${database.name}.orders`;
  dir = await tempDir();
  await database.db.collection("orders").insertMany(Array.from({ length: 3_000 }, (_, i) => ({ _id: i as never })));
});

afterAll(async () => {
  await dir[Symbol.asyncDispose]();
});

/** How to make a run end with this kind of error, and a part of its message. */
interface Provocation {
  readonly says: string;
  readonly provoke: () => Promise<CliResult>;
}

/** The type demands one for each kind of error: a new kind does not compile without its provocation. */
const PROVOCATIONS = {
  bug: {
    says: "This is a fault in mongotap: please report it",
    async provoke() {
      // A server with an invalid reply: its list of databases is a number.
      await using server = await startMockServer((command) =>
        "listDatabases" in command ? { databases: 7 } : { version: "6.0.5" },
      );
      return await run(["discover"], { env: { MONGOTAP_URI: server.uri } });
    },
  },
  usage: { says: "Did you mean", provoke: () => tap.run(["backfill", `${database.name}.ordres`]) },
  config: {
    says: "not a usable connection string",
    provoke: () => tap.run(["tail", orders, "--uri", `mongodb://u:${CANARY}@x@h`]),
  },
  state: {
    says: "cannot be used: it is empty",
    async provoke() {
      await writeFile(dir.join("empty.state"), "", { mode: 0o600 });
      return await tap.run(["tail", orders, "--state", dir.join("empty.state"), "--out", dir.join("empty")]);
    },
  },
  connect: {
    says: "cannot connect to mongodb://127.0.0.1:1/",
    provoke: () => run(["backfill", orders, "--uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300"]),
  },
  auth: {
    says: "Check user, password, authSource",
    // A server without users also rejects an unknown user.
    provoke: () =>
      tap.run(["backfill", orders, "--uri", database.uri.replace("mongodb://", `mongodb://nobody:${CANARY}@`)]),
  },
  "history-lost": {
    says: "no longer holds the changes",
    async provoke() {
      await using _lost = await failCommand(database.client, {
        failCommands: ["getMore"],
        errorCode: 286,
        appName: "mongotap",
      });
      return await tap.run(["tail", orders]);
    },
  },
  ended: {
    says: "was dropped",
    async provoke() {
      await database.db.createCollection("doomed");
      const state = dir.join("doomed.state");
      await using tail = tap.start(["tail", `${database.name}.doomed`, "--state", state]);
      await waitFor(() => existsSync(state), { what: "the first position" });
      await database.db.dropCollection("doomed");
      return await tail.done;
    },
  },
  output: {
    says: "the directory",
    provoke: () => tap.run(["backfill", orders, "--out", dir.join("no", "such", "folder")]),
  },
  data: {
    says: "is above 16 MB",
    async provoke() {
      // A reply holds the key, and its token twice as long.
      const args = ["tail", `${database.name}.large`, "--allow-missing", "--state", dir.join("large.state")];
      await tap.expect(0, [...args, "--out", dir.join("large"), "--until", "caught-up"]);
      await database.db.collection<{ _id: string }>("large").insertOne({ _id: "k".repeat(5 * 1024 * 1024) });
      return await tap.run([...args, "--out", dir.join("large"), "--until", "caught-up"]);
    },
  },
  unsupported: {
    says: "change streams need a replica set",
    async provoke() {
      await using server = await startStandalone();
      await using client = await MongoClient.connect(server.uri);
      await client.db("shop").collection("orders").insertOne({});
      const standalone = tapAt(server.uri);
      // What needs no change stream works.
      await standalone.expect(0, ["backfill", "shop.orders"]);
      await standalone.expect(10, ["capture", "shop.orders"]);
      return await standalone.run(["tail", "shop.orders"]);
    },
  },
  threshold: {
    says: "",
    async provoke() {
      const state = dir.join("aged.state");
      await tap.expect(0, ["tail", orders, "--state", state, "--out", dir.join("aged"), "--until", "caught-up"]);
      return await tap.run(["status", "--state", state, "--warn-at", "0%"]);
    },
  },
  limit: {
    says: "--limit came before the end",
    provoke: () =>
      tap.run(["backfill", orders, "--limit", "5", "--out", dir.join("some"), "--state", dir.join("some.state")]),
  },
  locked: {
    says: "is held by process",
    async provoke() {
      const args = ["tail", orders, "--out", dir.join("held"), "--state", dir.join("held.state")];
      await using _first = tap.start(args);
      await waitFor(() => existsSync(dir.join("held.state")), { what: "the first run to hold the lock" });
      return await tap.run(args);
    },
  },
  pipe: {
    says: "",
    async provoke() {
      await using piped = tap.start(["backfill", orders], { paused: true });
      piped.closeStdout(); // before anything was read: what is written then cannot be taken any more
      return await piped.done;
    },
  },
} satisfies Record<Kind, Provocation>;

describe("a run ends with", () => {
  test.each(
    Object.entries(PROVOCATIONS).map(([kind, provocation]) => [POLICY[kind as Kind].exit, kind, provocation] as const),
  )("%p for an error of the kind %s", async (exit, _, { says, ...provocation }) => {
    const { code, stderr } = await provocation.provoke();
    if (code !== exit) throw new Error(`ended with ${code}, not ${exit}: ${stderr}`);
    expect(stderr).toContain(says);
  });
});

test("each kind of error that there is has been provoked above", () => {
  expect(new Set(Object.keys(PROVOCATIONS))).toEqual(new Set(Object.keys(POLICY)));
});

describe("an output that cannot be written ends with 8, and says which and why:", () => {
  test("a folder in place of a file, a file in place of a folder, a full device", async () => {
    await writeFile(dir.join("file"), "");
    const refuse = async (says: string, ...args: readonly string[]): Promise<void> => {
      expect((await tap.expect(8, ["backfill", orders, ...args])).stderr).toContain(says);
    };
    await refuse("is a directory", "--out", dir.path);
    await refuse("is not a directory", "--out", `${dir.join("file")}/`);
    await refuse("no space left on the device", "--out", "/dev/full");
    await refuse("cannot lock", "--out", dir.join("never"), "--state", dir.join("no", "folder", "state"));
    expect(existsSync(dir.join("never"))).toBe(false);
  });

  test("stdout that is /dev/null, on a state: the lines would be lost, and the state would move on", async () => {
    await using nowhere = await open("/dev/null", "w");
    await using piped = tap.start(["backfill", orders, "--state", dir.join("null.state")], { stdout: nowhere.fd });
    const { code, stderr } = await piped.done;
    expect(code).toBe(8);
    expect(stderr).toContain("/dev/null");
    expect(existsSync(dir.join("null.state"))).toBe(false);
  });
});
