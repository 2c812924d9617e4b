/** A pipe between two processes: what stands before `|` in a shell, and `wc` behind it. */

import { execFileSync } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";

export interface Piped<T> {
  readonly finished: T;
  readonly lines: number;
  readonly bytes: number;
}

/** Gives `write` the writing end; resolves when the reader has counted all that came. */
export async function withReader<T>(folder: string, write: (stdout: number) => Promise<T>): Promise<Piped<T>> {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  // wc reads as fast as cat does, and counts on the way.
  const reader = Bun.spawn(["wc", "-lc", path], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  try {
    const handle = await open(path, "w");
    let finished: T;
    try {
      finished = await write(handle.fd);
    } finally {
      await handle.close();
    }
    const [lines = "", bytes = ""] = (await new Response(reader.stdout).text()).trim().split(/\s+/);
    return { finished, lines: Number(lines), bytes: Number(bytes) };
  } finally {
    await reader.exited;
    await rm(path);
  }
}
