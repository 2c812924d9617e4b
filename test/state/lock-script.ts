/** Takes a lock for lock.fault.test.ts, says so on stdout, and holds it until it is told to let go (a line on stdin). */

import { writeSync } from "node:fs";
import { once } from "node:events";
import { MongotapError } from "../../src/errors.ts";
import { acquireLock } from "../../src/state/lock.ts";

export const SCRIPT = import.meta.filename;

export interface LockJob {
  readonly path: string;
  readonly waitMs?: number;
  /** Take and give back this many times, adding one to a counter file each time without any other protection. */
  readonly rounds?: { readonly count: number; readonly file: string };
}

async function hold({ path, waitMs = 0 }: LockJob): Promise<void> {
  await using _lock = await acquireLock(path, { waitMs, pid: process.pid });
  // Trying again in the same process must not cost the lock: closing any descriptor of a file gives up POSIX locks.
  const again = await acquireLock(path).catch((error: unknown) => error);
  const isKept = again instanceof MongotapError && again.kind === "locked";
  writeSync(1, isKept ? "held\n" : "taken twice\n");
  if (!isKept) return;
  await once(process.stdin, "data");
}

async function count({ path, waitMs = 0 }: LockJob, rounds: number, file: string): Promise<void> {
  const { readFile, writeFile } = await import("node:fs/promises");
  for (let round = 0; round < rounds; round += 1) {
    await using _lock = await acquireLock(path, { waitMs, pid: process.pid });
    const before = Number(await readFile(file, "utf8"));
    await writeFile(file, String(before + 1));
  }
}

if (import.meta.main) {
  const job = JSON.parse(process.argv[2] ?? "") as LockJob;
  try {
    await (job.rounds === undefined ? hold(job) : count(job, job.rounds.count, job.rounds.file));
    process.exit(0);
  } catch (error) {
    if (!(error instanceof MongotapError)) throw error;
    writeSync(1, `${error.kind}: ${error.message}\n`);
    process.exit(error.exitCode);
  }
}
