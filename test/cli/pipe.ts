/** Readers of stdout that behave badly, on a real pipe (the runner's own is a socket pair, which counts differently). */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
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

/** Resolves when `pid` has been almost idle for a while: it waits. */
export async function isIdle(pid: number): Promise<void> {
  await waitFor(
    async () => {
      const before = await ticksOf(pid);
      await Bun.sleep(300);
      return (await ticksOf(pid)) - before <= 4;
    },
    { what: `process ${pid} to be idle` },
  );
}
