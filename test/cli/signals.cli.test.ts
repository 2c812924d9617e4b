import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import type { RunningCli } from "../support/cli.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { isIdle, openPipe } from "./pipe.ts";
import { linesIn, linesOf, type Tap, tapAt } from "./tap.ts";

/** More than a pipe, our buffers and a reply of the server hold together, so that nothing ends by itself. */
const MANY = 60_000;
/** The limit for "at once" on a busy machine. Without the signal these programs wait for a minute, or for ever. */
const AT_ONCE_MS = 10_000;

let database: TestDatabase;
let tap: Tap;
let many: string;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  many = `${database.name}.many`;
  await database.db.collection("many").insertMany([...documents("small", MANY)], { writeConcern: { w: 1 } });
});

describe("SIGTERM and SIGINT", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s ends a tail with 0: every line is whole, and the state covers them all",
    async (signal) => {
      const collection = database.db.collection<{ _id: number }>(`drained${signal}`);
      await collection.insertOne({ _id: -1 });
      await using dir = await tempDir();
      const args = [
        "tail",
        `${database.name}.drained${signal}`,
        "--out",
        dir.join("out"),
        "--state",
        dir.join("state"),
      ];
      await using tail = tap.start(args);
      await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
      for (let i = 0; i < 100; i += 1) await collection.insertOne({ _id: i });
      await waitFor(async () => (await readFile(dir.join("out"), "utf8")) !== "", { what: "the first line" });
      tail.kill(signal);
      const { code, stderr } = await tail.done;
      expect(code).toBe(0);
      const drained = await linesIn(dir.join("out"));
      const saved = await loadCheckpoint(dir.join("state"), { readOnly: true });
      expect(saved?.outputs.map((mark) => mark.lines)).toEqual([drained.length]);
      expect(stderr).toContain(`${drained.length} changes`);
      await tap.expect(0, [...args, "--until", "caught-up"]);
      expect((await linesIn(dir.join("out"))).map((line) => line._id)).toEqual(
        Array.from({ length: 100 }, (_, i) => i),
      );
    },
  );

  test("a backfill that a signal cuts short ends with 12, and the next run makes it whole", async () => {
    await using dir = await tempDir();
    const args = ["backfill", many, "--out", dir.join("out"), "--state", dir.join("state")];
    await using backfill = tap.start(args);
    await waitFor(() => existsSync(dir.join("state")), { what: "the first chunk", everyMs: 1 });
    backfill.kill("SIGTERM");
    const { code, stderr } = await backfill.done;
    expect(code).toBe(12);
    expect(stderr).toContain("stopped by SIGTERM before the end was reached");
    const cut = await linesIn(dir.join("out.partial"));
    expect(cut.length).toBeGreaterThan(0);
    expect(cut.length).toBeLessThan(MANY);
    await tap.expect(0, args);
    const whole = await tap.expect(0, ["backfill", many]);
    expect((await readFile(dir.join("out"))).equals(whole.stdoutBytes)).toBe(true);
  });

  test.each(["backfill", "capture"])(
    "SIGTERM ends %s at once with 143, also while the reader of stdout has stopped reading",
    async (command) => {
      await using pipe = await openPipe();
      await using stuck = tap.start([command, many], { stdout: pipe.writer });
      pipe.handOver();
      await waitFor(() => pipe.read(1_000) !== "", { what: "the first line" });
      await expectEndAtOnce(stuck);
    },
  );

  test("SIGTERM ends a backfill at once with 143, also while stdout is a socket without a reader", async () => {
    await using stuck = tap.start(["backfill", many]);
    await stuck.waitForLine(() => true);
    stuck.pauseStdout();
    await expectEndAtOnce(stuck);
  });

  test("a second signal ends the process at once, and costs nothing that is committed", async () => {
    await using dir = await tempDir();
    const args = ["backfill", many, "--out", dir.join("out"), "--state", dir.join("state")];
    await using backfill = tap.start(args);
    await waitFor(() => existsSync(dir.join("state")), { what: "the first chunk", everyMs: 1 });
    backfill.kill("SIGTERM");
    backfill.kill("SIGINT");
    const { code } = await backfill.done;
    // 12 where the first signal had done its work before the second came.
    expect([12, 130, 143]).toContain(code ?? -1);
    await tap.expect(0, args);
    const whole = await tap.expect(0, ["backfill", many]);
    expect((await readFile(dir.join("out"))).equals(whole.stdoutBytes)).toBe(true);
  });

  test("a signal ends a run that still waits for a server, with 128 and its number", async () => {
    // Takes connections and never says a word.
    await using server = await silentServer();
    const uri = `mongodb://127.0.0.1:${server.port}/?serverSelectionTimeoutMS=60000&connectTimeoutMS=60000`;
    await using tail = tapAt(uri).start(["tail", many]);
    await server.accepted;
    const at = performance.now();
    tail.kill("SIGTERM");
    const { code } = await tail.done;
    expect(performance.now() - at).toBeLessThan(AT_ONCE_MS);
    expect(code).toBe(143);
  });

  test("a signal ends a run that waits for the lock of another", async () => {
    await using dir = await tempDir();
    const args = ["tail", many, "--out", dir.join("out"), "--state", dir.join("state")];
    await using first = tap.start(args);
    await waitFor(() => existsSync(dir.join("state")), { what: "the first run to hold the lock" });
    await using second = tap.start([...args, "--wait-lock", "1h", "--log-level", "debug"]);
    await Bun.sleep(4_000); // no sign is given of waiting: until then every runtime has started, also on a busy machine
    second.kill("SIGINT");
    expect((await second.done).code).toBe(130);
    first.kill();
    expect((await first.done).code).toBe(0);
  });
});

describe("a reader that goes away", () => {
  test("| head -1 ends quietly: 141, and not a word on stderr", async () => {
    for (const command of ["backfill", "capture"]) {
      await using piped = tap.start([command, many]);
      await piped.waitForLine(() => true);
      piped.closeStdout();
      const { code, stderr } = await piped.done;
      expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
    }
  });

  test("a tail whose reader is gone ends with the next line", async () => {
    const collection = database.db.collection("gone");
    await collection.insertOne({});
    await using dir = await tempDir();
    await using tail = tap.start(["tail", `${database.name}.gone`, "--state", dir.join("state")]);
    await waitFor(() => existsSync(dir.join("state")), { what: "the first position" });
    await collection.insertOne({});
    await tail.waitForLine(() => true);
    tail.closeStdout();
    await collection.insertOne({});
    const { code, stderr } = await tail.done;
    expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
  });

  test("does not lose what it had not read: a state on stdout never moves ahead of the pipe", async () => {
    await using dir = await tempDir();
    await using pipe = await openPipe();
    const args = ["backfill", many, "--state", dir.join("state")];
    await using piped = tap.start(args, { stdout: pipe.writer });
    pipe.handOver();
    let read = "";
    await waitFor(() => (read += pipe.read(1 << 16)).length > 1 << 20, { what: "a first megabyte", everyMs: 1 });
    await isIdle(piped.pid);
    expect(existsSync(dir.join("state"))).toBe(true);
    piped.kill("SIGKILL");
    await piped.done;
    for (let piece = pipe.read(1 << 20); piece !== ""; piece = pipe.read(1 << 20)) read += piece;
    const { stdout } = await tap.expect(0, args);
    const lines = [...linesOf(wholeLines(read)), ...linesOf(stdout)];
    expect(new Set(lines.map((line) => JSON.stringify(line._id))).size).toBe(MANY);
  });
});

/** Without a last line that is torn: what a careful reader of a killed writer keeps. */
function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}

/** A program that waits for its reader ends with 143 on SIGTERM. */
async function expectEndAtOnce(stuck: RunningCli): Promise<void> {
  await isIdle(stuck.pid);
  const at = performance.now();
  stuck.kill("SIGTERM");
  const { code } = await stuck.done;
  expect(performance.now() - at).toBeLessThan(AT_ONCE_MS);
  expect(code).toBe(143);
}

interface SilentServer extends AsyncDisposable {
  readonly port: number;
  readonly accepted: Promise<void>;
}

async function silentServer(): Promise<SilentServer> {
  const { promise: accepted, resolve } = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined).resume();
    resolve();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    accepted,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
