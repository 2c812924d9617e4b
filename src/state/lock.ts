/**
 * A lock file with one holder at a time, which the kernel releases when the holder ends, also by `kill -9`. It is
 * SQLite's lock on an empty database: the one file lock that Bun, a compiled binary and Deno have in common, on every
 * system (docs/decisions/203-sqlite-file-lock.md).
 */

import { open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, platform } from "node:os";
import { setTimeout } from "node:timers/promises";
import { MongotapError } from "../errors.ts";
import { sleep } from "../lib/async.ts";
import { codeOf, reasonOf } from "../lib/fs.ts";

export interface LockOptions {
  /** How long to wait for another holder; 0 if absent. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** The number of this process, for the message of those that find the lock held. */
  readonly pid?: number;
}

export interface Lock extends AsyncDisposable {
  /** The file that is locked. */
  readonly path: string;
}

const POLL_MS = 100;

/**
 * Resolves when this call is the only holder of the lock on the file `path.lock`, among all calls of all processes.
 * Disposing the lock releases it and removes the file.
 * @throws MongotapError `locked`, naming the holder, when it is held for longer than `waitMs`; `output` when the lock
 *   file cannot be created; the reason of `signal` when that is aborted first.
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
  await writeFile(note, `${JSON.stringify(holder)}\n`, { mode: 0o600 }).catch(() => undefined); // only for the message
  return {
    path: file,
    async [Symbol.asyncDispose]() {
      await rm(note, { force: true }).catch(() => undefined); // only for the message
      await rm(file, { force: true }).catch(() => undefined); // Windows keeps an open file; unlocked, it is harmless
      release();
    },
  };
}

/** Returns the function that releases the lock, or `undefined` when it is held already. */
async function tryLock(file: string): Promise<(() => void) | undefined> {
  const { DatabaseSync } = await import("node:sqlite");
  for (;;) {
    const before = await create(file);
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
    // The holder removes the file when it releases the lock: a lock on a removed file excludes nothing.
    const after = await stat(file).catch(() => undefined);
    if (platform() === "win32" || (after?.ino === before.ino && after.dev === before.dev)) return () => locked.close();
    locked.close();
  }
}

/**
 * Creates the file if it is missing, and resolves to its identity. An existing file is not opened here: closing any
 * descriptor of a file releases the POSIX locks that the same process has on it.
 */
async function create(file: string): Promise<{ ino: number; dev: number }> {
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
      if (codeOf(error) !== "ENOENT") throw unlockable(file, error); // ENOENT: its holder has just removed it
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
    return "another process"; // the note is missing or incomplete
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /locked|busy/i.test(error.message);
}

function unlockable(file: string, error: unknown): MongotapError {
  return new MongotapError("output", `cannot lock ${file}: ${reasonOf(error)}`, { cause: error });
}
