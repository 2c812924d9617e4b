/** Where `tail --start-at` begins, and what it refuses. */

import { beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Collection, Document } from "mongodb";
import { must } from "../../src/errors.ts";
import { failCommand } from "../support/fail-point.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { linesOf, type Tap, tapAt } from "./tap.ts";

interface Doc extends Document {
  readonly _id: number | string;
}

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
});

const CAUGHT_UP = ["--until", "caught-up"];
const DAY = 86_400;

/** A collection with one document and the resume token of that document's insert. */
async function newCollection(name: string): Promise<{ collection: Collection<Doc>; name: string; token: string }> {
  const collection = database.db.collection<Doc>(name);
  await using stream = collection.watch();
  await stream.tryNext();
  await collection.insertOne({ _id: "first" });
  const { _id } = await stream.next();
  return { collection, name: `${database.name}.${name}`, token: String((_id as { _data: string })._data) };
}

async function serverSeconds(): Promise<number> {
  const { localTime } = await database.db.admin().command({ hello: 1 });
  return Math.floor((localTime as Date).getTime() / 1_000);
}

/** `token` with another time. */
function tokenAt(token: string, seconds: number): string {
  return `82${seconds.toString(16).padStart(8, "0").toUpperCase()}${token.slice(10)}`;
}

test("a time in the future ends with 2 and says the server's time, also where there is nothing to read yet", async () => {
  const { name } = await newCollection("future");
  const tomorrow = new Date(((await serverSeconds()) + DAY) * 1_000).toISOString();
  for (const args of [[name], [`${database.name}.none`, "--allow-missing"]]) {
    const { stderr, stdout } = await tap.expect(2, ["tail", ...args, "--start-at", tomorrow]);
    expect(stderr).toMatch(/^mongotap: --start-at .* is in the future: the server's time is \d{4}-\d{2}-\d{2}T.*Z\n/);
    expect(stderr).toContain("leave --start-at out");
    expect(stdout).toBe("");
  }
});

test("a second that has just begun is no future, and its position is no position of tomorrow", async () => {
  const { collection, name } = await newCollection("second");
  await using dir = await tempDir();
  const args = ["tail", name, ...CAUGHT_UP, "--state", dir.join("state"), "--out", dir.join("out")];
  // The last operation of an idle server is up to ten seconds old.
  const { operationTime } = await database.db.command({ ping: 1 });
  await waitFor(async () => (await serverSeconds()) > (operationTime as { t: number }).t, { what: "the next second" });
  await tap.expect(0, [...args, "--start-at", String(await serverSeconds())]);
  await tap.expect(0, args);
  await collection.insertOne({ _id: "second" });
  await tap.expect(0, args);
  expect(linesOf(await Bun.file(dir.join("out")).text()).map(({ _id }) => _id)).toEqual(["second"]);
});

test("a duration begins that long before the server's time, and says when that is", async () => {
  const { collection, name } = await newCollection("ago");
  await collection.insertOne({ _id: "second" });
  const { stdout, stderr } = await tap.expect(0, ["tail", name, "--start-at", "1h", ...CAUGHT_UP]);
  expect(linesOf(stdout).map(({ _id }) => _id)).toEqual(["first", "second"]);
  const [, time] = must(/changes from (\S+) on/.exec(stderr), "the time");
  const { operationTime } = await database.db.command({ ping: 1 });
  const age = (operationTime as { t: number }).t - Date.parse(must(time, "the time")) / 1_000;
  expect(age).toBeGreaterThanOrEqual(3_600);
  expect(age).toBeLessThan(3_700);
  await waitFor(async () => (await serverSeconds()) > (operationTime as { t: number }).t + 1, { what: "a second" });
  await collection.insertOne({ _id: "third" });
  const late = await tap.expect(0, ["tail", name, "--start-at", "0s", ...CAUGHT_UP]);
  expect(linesOf(late.stdout).map(({ _id }) => _id)).toEqual(["third"]);
});

test("a token of another stream ends with 2, is reported as that, and is not saved", async () => {
  const { collection, name } = await newCollection("mine");
  const other = await newCollection("other");
  await using elsewhere = database.client.db(`${database.name}_2`).collection<Doc>("c").watch();
  await elsewhere.tryNext();
  await database.client.db(`${database.name}_2`).collection<Doc>("c").insertOne({ _id: 1 });
  const { _id } = await elsewhere.next();
  const gone = await newCollection("gone");
  await gone.collection.drop();
  await collection.insertOne({ _id: "later" });
  const uuid = other.token.indexOf("5A1004") + 8;
  const foreign = `${other.token.slice(0, uuid)}${"0".repeat(8)}${other.token.slice(uuid + 8)}`;
  const elsewhereToken = String((_id as { _data: string })._data);
  await using dir = await tempDir();
  for (const token of [other.token, elsewhereToken, gone.token, foreign]) {
    const kept = ["--state", dir.join("state"), "--out", dir.join("out")];
    const { stderr } = await tap.expect(2, ["tail", name, ...CAUGHT_UP, "--start-at", token, ...kept]);
    expect(stderr).toContain("--start-at: the token is not of this stream");
    expect(stderr).not.toContain("saved position");
    expect(existsSync(dir.join("state"))).toBe(false);
  }
});

test("a token of another stream is reported as that also when the next change comes later", async () => {
  const { collection, name } = await newCollection("waiting");
  const other = await newCollection("quick");
  await using dir = await tempDir();
  await using tail = tap.start(["tail", name, "--start-at", other.token, "--state", dir.join("state")]);
  await waitFor(() => existsSync(dir.join("state")), { what: "the stream to be open" });
  await collection.insertOne({ _id: "later" });
  const { code, stderr } = await tail.done;
  expect(code).toBe(2);
  expect(stderr).toContain("--start-at: the token is not of this stream");
});

test("a token is taken from a server that needs longer to look for it", async () => {
  const { collection, name, token } = await newCollection("slow");
  await collection.insertOne({ _id: "second" });
  await using _fault = await failCommand(database.client, {
    failCommands: ["getMore"],
    errorCode: 50, // MaxTimeMSExpired
    appName: "mongotap",
    times: 1,
  });
  const { stdout, stderr } = await tap.expect(0, ["tail", name, ...CAUGHT_UP, "--start-at", token]);
  expect(linesOf(stdout).map(({ _id }) => _id)).toEqual(["second"]);
  expect(stderr).not.toContain("trying again");
});

test("what is no token, or is of tomorrow, ends with 2 and does not speak of a saved position", async () => {
  const { name, token } = await newCollection("broken");
  const broken = [
    `82${"ab".repeat(30)}`,
    token.slice(0, 20),
    token.slice(0, -1),
    `${token.slice(0, -3)}5${token.slice(-2)}`,
  ];
  for (const typed of broken) {
    const { stderr } = await tap.expect(2, ["tail", name, ...CAUGHT_UP, "--start-at", typed]);
    expect(stderr).toContain("--start-at: the server does not take this for a token (server code");
    expect(stderr).not.toContain("saved position");
  }
  const ahead = tokenAt(token, (await serverSeconds()) + DAY);
  const { stderr } = await tap.expect(2, ["tail", name, "--start-at", ahead]);
  expect(stderr).toContain("ahead of the server's own time");
  expect(stderr).not.toContain("saved position");
});
