/** A mongod from MongoDB's own downloads, by `mongodb-memory-server-core`; gives up within seconds if those are blocked. */
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Fetcher } from "./fetch.ts";
import { guardProcess } from "./watchdog.ts";

export const DOWNLOAD: Fetcher = {
  name: "mongodb-memory-server-core",
  /** The default version of `mongodb-memory-server-core` 11.3. */
  defaultVersion: "8.2.6",
  fetch: (version, ready, downloads) => mongodFromDownload(version, ready, downloads),
};

const TIMEOUTS = {
  /** A blocked network often drops packets without an answer: no first byte in this time means "blocked". */
  firstByteMs: 6_000,
  /** A download that has begun may pause this long. */
  stallMs: 30_000,
};

/** Puts mongod `version` into `folder` as `bin/mongod`. `scratch` is an empty folder, which the caller removes. */
export async function mongodFromDownload(
  version: string,
  folder: string,
  scratch: string,
  { firstByteMs, stallMs } = TIMEOUTS,
): Promise<void> {
  // A .js file in the npm package, where all files are in one folder.
  const script = fileURLToPath(new URL(`./download-child${extname(import.meta.url)}`, import.meta.url));
  const child = spawn(process.execPath, [script, version, scratch], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: scratch,
  });
  const release = child.pid === undefined ? undefined : guardProcess(child.pid);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  const ended = new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));

  let seen = 0;
  let deadline = Date.now() + firstByteMs;
  let gaveUp = false;
  const watch = setInterval(() => {
    const bytes = bytesIn(scratch);
    if (bytes > seen) deadline = Date.now() + stallMs;
    seen = bytes;
    if (Date.now() < deadline) return;
    gaveUp = true;
    child.kill("SIGKILL");
  }, 100);
  const code = await ended.finally(() => {
    clearInterval(watch);
    release?.();
  });
  if (gaveUp) throw new Error(seen === 0 ? `no answer in ${firstByteMs / 1000} s` : "the download stalled");
  const path = stdout.trim().split("\n").at(-1) ?? "";
  if (code !== 0 || path === "") throw new Error(stderr.trim().split("\n").at(-1) ?? `ended with ${code}`);
  await mkdir(join(folder, "bin"), { recursive: true });
  await rename(path, join(folder, "bin/mongod"));
}

/** The bytes of the partial download. Files of a few bytes (locks) do not count as an answer. */
function bytesIn(folder: string): number {
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
  return sizes.filter((size) => size > 1024).reduce((total, size) => total + size, 0);
}
