/** Readers of stdout that behave badly, on a real pipe (the runner's own is a socket pair, which counts differently). */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

export interface Pipe extends AsyncDisposable {
  /** What the program gets as its stdout. Close it with `handOver()` once it has been started. */
  readonly writer: number;
  handOver(): void;
  /** Up to `size` bytes that are in the pipe; empty where there are none. */
  read(size: number): string;
}

/** A pipe that is read by `read()` alone. */
export async function openPipe(): Promise<Pipe> {
  const dir = await tempDir();
  const path = dir.join("pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  let isOurs = true;
  const handOver = (): void => {
    if (isOurs) closeSync(writer);
    isOurs = false;
  };
  return {
    writer,
    handOver,
    read(size) {
      const bytes = Buffer.alloc(size);
      try {
        return bytes.toString("utf8", 0, readSync(reader, bytes));
      } catch {
        return ""; // EAGAIN: nothing there yet
      }
    },
    async [Symbol.asyncDispose]() {
      handOver();
      closeSync(reader);
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Clock ticks (10 ms) of processor time that `pid` has used. */
async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // Behind the name, which may hold anything: state is the 3rd field, user and system time are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Whether a thread of `pid` has work to do: it runs, or it would if it got a processor. */
async function isRunnable(pid: number): Promise<boolean> {
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => ""); // it has just ended
    if (stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) === "R") return true;
  }
  return false;
}

const LOOKS = 15;
const LOOK_EVERY_MS = 20;

/**
 * Resolves when `pid` waits. It has then used hardly any processor time for a while, and not for want of a processor: on
 * a busy machine a program with much to do uses as little.
 */
export async function isIdle(pid: number): Promise<void> {
  await waitFor(
    async () => {
      const before = await ticksOf(pid);
      let busy = 0;
      for (let look = 0; look < LOOKS; look += 1) {
        if (await isRunnable(pid)) busy += 1;
        await Bun.sleep(LOOK_EVERY_MS);
      }
      return busy <= 2 && (await ticksOf(pid)) - before <= 4;
    },
    { what: `process ${pid} to be idle` },
  );
}
