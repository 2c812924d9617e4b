/** Temporary folders that are removed after the test, even if the test process is killed. */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardFolder } from "../../npm/mongod/watchdog.ts";

export interface TempDir extends AsyncDisposable {
  readonly path: string;
  /** A path below it. */
  join(...names: string[]): string;
}

/** `await using dir = await tempDir()`: an empty folder, removed with all it holds at the end of the block. */
export async function tempDir(): Promise<TempDir> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "mongotap-test-")));
  const release = guardFolder(path);
  return {
    path,
    join: (...names) => join(path, ...names),
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      release();
    },
  };
}
