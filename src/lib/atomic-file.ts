/** Small files of our own that are there as a whole or not at all, and readable by their owner only. */

import { createHash, randomBytes } from "node:crypto";
import { link, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "./fs.ts";

/**
 * Puts a file with `text` at `path`, in place of one that is there; resolves when it would survive a power cut. Until
 * then, and after a crash, `path` is what it was or the new file, never a part of it.
 * @throws the system's error; the file of before is there then, unless it is the sync of the directory that failed
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeThrough(path, text, rename);
}

/**
 * Puts a file with `text` at `path`, where there is none: of several callers at once, in several processes, one
 * succeeds. Resolves when the file would survive a power cut.
 * @throws the system's error, `EEXIST` where there is anything at `path`
 */
export async function createFile(path: string, text: string): Promise<void> {
  await writeThrough(path, text, link); // a rename would replace what is there
}

/** `place` gives the temporary file its name; the temporary file is removed in any case. */
async function writeThrough(
  path: string,
  text: string,
  place: (temporary: string, path: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `${prefixOf(path)}${randomBytes(8).toString("hex")}.tmp`);
  try {
    await writeDurably(temporary, Buffer.from(text));
    await place(temporary, path);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined); // a failure above is the one to report
  }
  await syncDirectory(directory);
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.chmod(0o600); // whatever the umask made of it
    for (let done = 0; done < bytes.length;) {
      done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes the temporary files of writers of `path` that crashed. No writer may be at work. Never throws. */
export async function removeTemporaries(path: string): Promise<void> {
  const directory = dirname(path);
  const prefix = prefixOf(path);
  const names = await readdir(directory).catch(() => []); // the caller is about to read in there, and reports it
  for (const name of names) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length))) continue;
    await rm(join(directory, name), { force: true }).catch(() => undefined); // harmless where it is
  }
}

function prefixOf(path: string): string {
  return `.${basename(path)}.`;
}

/** What such a file says of its content, to be found damaged when it is read: `sha256:` and 64 hex digits. */
export function checksumOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
