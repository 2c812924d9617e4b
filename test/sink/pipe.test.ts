import { expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { failureOf, openFile, put, scratch } from "./sinks.ts";

const A = "app.a";

test("openFileSink() writes to a FIFO without blocking, and waits for its reader", async () => {
  using dir = scratch();
  spawnSync("mkfifo", [dir.at("fifo")]);
  const opening = openFile(dir.at("fifo"));
  await sleep(50);
  const reader = spawn("sh", ["-c", `(sleep 0.1; cat) < '${dir.at("fifo")}' > '${dir.at("copy")}'`]);
  const ended = once(reader, "exit");
  await using sink = await opening;
  const round = [`${"x".repeat(9_999)}\n`, `${"y".repeat(9_999)}\n`] as const;
  for (let count = 0; count < 20; count += 1) await put(sink, [A, round[0]], [A, round[1]]);
  expect(await sink.flush()).toEqual([]);
  expect(await sink.finalize()).toEqual([]);
  await sink[Symbol.asyncDispose]();
  await ended;
  expect(readFileSync(dir.at("copy"), "utf8") === round.join("").repeat(20)).toBeTrue();
  expect(readdirSync(dir.path).toSorted()).toEqual(["copy", "fifo"]);
});

test("openFileSink() stops waiting for the reader of a FIFO when the run is stopped", async () => {
  using dir = scratch();
  spawnSync("mkfifo", [dir.at("fifo")]);
  const stop = new AbortController();
  const opening = openFile(dir.at("fifo"), { signal: stop.signal });
  setTimeout(() => stop.abort(new Error("stopped")), 30);
  await expect(opening).rejects.toThrow("stopped");
});

test("write() says that the reader of a FIFO is gone", async () => {
  using dir = scratch();
  spawnSync("mkfifo", [dir.at("fifo")]);
  spawn("head", ["-c", "1", dir.at("fifo")]);
  await using sink = await openFile(dir.at("fifo"));
  const writing = async (): Promise<void> => {
    for (;;) await put(sink, [A, "x".repeat(100_000)]);
  };
  const failure = await failureOf(writing());
  expect(failure).toMatchObject({ kind: "pipe" });
  expect(failure.message).toContain(dir.at("fifo"));
  expect(await failureOf(sink.flush())).toEqual(failure);
});

test("disposing a sink ends a write that waits for its reader", async () => {
  using dir = scratch();
  spawnSync("mkfifo", [dir.at("fifo")]);
  const reader = spawn("sh", ["-c", `exec sleep 10 < '${dir.at("fifo")}'`]);
  const sink = await openFile(dir.at("fifo"));
  const stuck = put(sink, [A, "x".repeat(1_000_000)]);
  stuck.catch(() => undefined);
  await sleep(50);
  await sink[Symbol.asyncDispose]();
  await expect(stuck).rejects.toThrow("closed");
  reader.kill();
});

test("openFileSink() writes to devices as they are", async () => {
  for (const finalizes of [true, false]) {
    await using sink = await openFile("/dev/null", { finalizes });
    await put(sink, [A, "1\n"]);
    expect(await sink.finalize()).toEqual([]);
    await using full = await openFile("/dev/full", { finalizes });
    const failure = await failureOf(put(full, [A, "1\n"]));
    expect(failure).toMatchObject({ kind: "output" });
    expect(failure.message).toBe("cannot write to /dev/full: no space left on the device");
  }
  expect(existsSync("/dev/null.partial")).toBeFalse();
});
