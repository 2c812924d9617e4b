/**
 * A lock that keeps a second run out and that the kernel frees when the holder ends, also by `kill -9`. It is SQLite's
 * lock on an empty database: the one file lock that Bun, a compiled binary and Deno have in common, on every system.
 */

import { open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, platform } from "node:os";
import { setTimeout } from "node:timers/promises";
import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";

export interface LockOptions {
  /** How long to wait for another holder; 0 or absent: not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** The number of this process, to tell those who find the lock held. */
  readonly pid?: number;
}

export interface Lock extends AsyncDisposable {
  /** The file that is locked. */
  readonly path: string;
}

const POLL_MS = 100;

/**
 * Resolves when this process, and this call in it, is the only holder of the lock that belongs to `path` (the file
 * `path.lock`). Disposing it lets the next one in and removes the file.
 * @throws MongotapError `locked`, naming the holder, when it is held for longer than `waitMs`; `output` when the lock
 *   file cannot be made; the reason of `signal` when that is aborted first.
 */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const file = `${path}.lock`;
  const deadline = performance.now() + (options.waitMs ?? 0);
  for (;;) {
    options.signal?.throwIfAborted();
    const release = await tryLock(file);
    if (release !== undefined) return await held(file, release, options.pid);
    const left = deadline - performance.now();
    if (left <= 0) throw new MongotapError("locked", `${file} is held by ${await holderOf(file)}`);
    await (options.signal ? sleep(Math.min(POLL_MS, left), options.signal) : setTimeout(Math.min(POLL_MS, left)));
  }
}

async function held(file: string, release: () => void, pid: number | undefined): Promise<Lock> {
  const note = noteOf(file);
  const holder = { pid, host: hostname(), since: new Date().toISOString() };
  await writeFile(note, `${JSON.stringify(holder)}\n`, { mode: 0o600 }).catch(() => undefined); // for people only
  return {
    path: file,
    async [Symbol.asyncDispose]() {
      await rm(note, { force: true }).catch(() => undefined); // for people only
      await rm(file, { force: true }).catch(() => undefined); // Windows keeps open files; an unlocked file is no harm
      release();
    },
  };
}

/** Returns what gives the lock back, or `undefined` when somebody else has it. */
async function tryLock(file: string): Promise<(() => void) | undefined> {
  const { DatabaseSync } = await import("node:sqlite");
  for (;;) {
    const before = await make(file);
    let database;
    try {
      database = new DatabaseSync(file);
      database.exec("PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE");
    } catch (error) {
      database?.close();
      if (isBusy(error)) return undefined;
      throw unlockable(file, error);
    }
    const locked = database;
    // The holder removes the file when it lets go: what we have locked may be that removed file. Then it is worth nothing.
    const after = await stat(file).catch(() => undefined);
    if (platform() === "win32" || (after?.ino === before.ino && after.dev === before.dev)) return () => locked.close();
    locked.close();
  }
}

/**
 * Makes the file if it is missing and tells which it is. An existing one is never opened here: closing any descriptor of
 * a file gives up the POSIX locks that the same process has on it.
 */
async function make(file: string): Promise<{ ino: number; dev: number }> {
  for (;;) {
    try {
      const handle = await open(file, "wx", 0o600);
      await handle.close();
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw unlockable(file, error);
    }
    try {
      return await stat(file);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw unlockable(file, error); // else: removed by its holder just now
    }
  }
}

function noteOf(file: string): string {
  return `${file}.holder`;
}

async function holderOf(file: string): Promise<string> {
  try {
    const holder: unknown = JSON.parse(await readFile(noteOf(file), "utf8"));
    if (typeof holder !== "object" || holder === null) return "another process";
    const { pid: id, host, since } = holder as Record<string, unknown>;
    if (typeof id !== "number" || typeof host !== "string" || typeof since !== "string") return "another process";
    return `process ${id} on ${host} since ${since}`.replaceAll(/[^\x20-\x7e]/g, "?");
  } catch {
    return "another process"; // no note, or half a note: it is for people only
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /locked|busy/i.test(error.message);
}

function unlockable(file: string, error: unknown): MongotapError {
  return new MongotapError("output", `cannot lock ${file}: ${reasonOf(error)}`, { cause: error });
}
