/** Compares ways to write WebAssembly memory to a file: by the thread pool or by this thread, in pieces. */

import { writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { tempDir } from "../../test/support/temp.ts";

const BATCH = 4_600_000;
const BATCHES = 200;
const PAGES = 80;
const PIECES = [64, 128, 256, 1024] as const;

const memory = new WebAssembly.Memory({ initial: PAGES });
const batch = new Uint8Array(memory.buffer, 0, BATCH);

type Write = (handle: FileHandle, bytes: Uint8Array, begin: number, length: number) => unknown;

const kept = new Uint8Array(BATCH);
const WAYS: Readonly<Record<string, { readonly copies: boolean; readonly write: Write }>> = {
  "this thread": { copies: false, write: ({ fd }, bytes, begin, length) => writeSync(fd, bytes, begin, length) },
  // The pool gets a copy: Bun writes views of WebAssembly memory even more slowly.
  "thread pool": { copies: true, write: (handle, bytes, begin, length) => handle.write(bytes, begin, length) },
};

await using dir = await tempDir();
for (const [name, { copies, write }] of Object.entries(WAYS)) {
  for (const kilobytes of PIECES) {
    await using handle = await open(join(dir.path, `${name} ${kilobytes}`), "a");
    const began = performance.now();
    const before = process.cpuUsage();
    for (let i = 0; i < BATCHES; i += 1) {
      batch.fill(i % 128); // as an encoder would have
      if (copies) kept.set(batch);
      const bytes = copies ? kept : batch;
      for (let done = 0; done < BATCH; done += kilobytes * 1024) {
        await write(handle, bytes, done, Math.min(kilobytes * 1024, BATCH - done));
      }
    }
    await handle.datasync();
    const { user, system } = process.cpuUsage(before);
    const seconds = (performance.now() - began) / 1000;
    console.log(
      `${name}, pieces of ${kilobytes} KiB: ${seconds.toFixed(2)} s, ${((user + system) / 1e6).toFixed(2)} s of processor`,
    );
    await handle.truncate(0);
  }
}
