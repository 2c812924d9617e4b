import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { MongotapError } from "../../src/errors.ts";
import { acquireLock } from "../../src/state/lock.ts";

function scratch(): Disposable & { readonly path: string; readonly state: string } {
  const path = mkdtempSync(join(tmpdir(), "mongotap-lock-"));
  return {
    path,
    state: join(path, "state.json"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

async function failureOf(work: Promise<unknown>): Promise<MongotapError> {
  const error = await work.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof MongotapError)) throw error;
  return error;
}

test("acquireLock() keeps a second holder out, names the first, and leaves nothing behind", async () => {
  using dir = scratch();
  {
    await using lock = await acquireLock(dir.state, { pid: 4711 });
    expect(lock.path).toBe(`${dir.state}.lock`);
    expect(statSync(lock.path).mode & 0o777).toBe(0o600);
    const failure = await failureOf(acquireLock(dir.state));
    expect(failure.kind).toBe("locked");
    expect(failure.message).toStartWith(`${dir.state}.lock is held by process 4711 on ${hostname()} since 20`);
    expect((await failureOf(acquireLock(dir.state))).kind).toBe("locked");
    await using _other = await acquireLock(`${dir.state}.other`);
  }
  expect(readdirSync(dir.path)).toEqual([]);
  await using _again = await acquireLock(dir.state);
});

test("acquireLock() waits as long as waitMs, and no longer", async () => {
  using dir = scratch();
  const first = await acquireLock(dir.state);
  const begun = performance.now();
  expect((await failureOf(acquireLock(dir.state, { waitMs: 250 }))).kind).toBe("locked");
  expect(performance.now() - begun).toBeWithin(240, 5_000); // the upper limit allows for a busy machine
  const waiting = acquireLock(dir.state, { waitMs: 10_000 });
  setTimeout(() => void first[Symbol.asyncDispose](), 50);
  const freed = performance.now();
  await using _second = await waiting;
  expect(performance.now() - freed).toBeLessThan(5_000); // not the 10 s that it may wait
});

test("acquireLock() stops waiting when its signal aborts", async () => {
  using dir = scratch();
  await using _lock = await acquireLock(dir.state);
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("stopped")), 30);
  await expect(acquireLock(dir.state, { waitMs: 10_000, signal: stop.signal })).rejects.toThrow("stopped");
});

test("acquireLock() does not trust what is written about the holder", async () => {
  using dir = scratch();
  await using lock = await acquireLock(dir.state);
  for (const note of ["", "{", "null", "[1]", '{"pid": 1}']) {
    writeFileSync(`${lock.path}.holder`, note);
    expect((await failureOf(acquireLock(dir.state))).message).toEndWith("is held by another process");
  }
  writeFileSync(`${lock.path}.holder`, JSON.stringify({ pid: 1, host: "a\u001b[2J\nb", since: "now" }));
  expect((await failureOf(acquireLock(dir.state))).message).toEndWith("is held by process 1 on a?[2J?b since now");
});

test("acquireLock() takes a lock file that nobody holds, whatever is beside it", async () => {
  using dir = scratch();
  writeFileSync(`${dir.state}.lock`, "");
  writeFileSync(`${dir.state}.lock.holder`, JSON.stringify({ pid: 1, host: "x", since: "y" }));
  await using _lock = await acquireLock(dir.state);
});

test("acquireLock() says where it cannot lock", async () => {
  using dir = scratch();
  mkdirSync(`${dir.state}.lock`);
  writeFileSync(join(dir.path, "text.lock"), "this is not an empty file, nor a database of ours\n".repeat(100));
  for (const path of [dir.state, join(dir.path, "missing/state.json"), join(dir.path, "text")]) {
    const failure = await failureOf(acquireLock(path));
    expect(failure.kind).toBe("output");
    expect(failure.message).toStartWith(`cannot lock ${path}.lock: `);
  }
});
