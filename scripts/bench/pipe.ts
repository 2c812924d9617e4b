/** A pipe from a contestant to `wc`, as `|` in a shell. */

import { execFileSync } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";

interface Piped<T> {
  readonly result: T;
  readonly lines: number;
  readonly bytes: number;
}

/**
 * Calls `write` with the writing end. Resolves when the reader has counted everything. The reader gets the path of the pipe
 * and prints lines and bytes; wc is as fast as cat.
 */
export async function withReader<T>(
  folder: string,
  write: (stdout: number) => Promise<T>,
  reader = (path: string): string[] => ["wc", "-lc", path],
): Promise<Piped<T>> {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const child = Bun.spawn(reader(path), { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  try {
    const handle = await open(path, "w");
    let result: T;
    try {
      result = await write(handle.fd);
    } finally {
      await handle.close();
    }
    const [lines = "", bytes = ""] = (await new Response(child.stdout).text()).trim().split(/\s+/);
    return { result, lines: Number(lines), bytes: Number(bytes) };
  } finally {
    await child.exited;
    await rm(path);
  }
}
