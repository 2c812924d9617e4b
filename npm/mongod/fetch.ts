/**
 * Fetches a mongod into the cache, once. Two processes may do so at the same time: each works in a folder of its own,
 * and the first to finish renames its folder into place.
 */
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Mongod, verifyFetched } from "./verify.ts";

/** One way to fetch a mongod. */
export interface Fetcher {
  readonly name: string;
  /** The version it fetches by default. */
  readonly defaultVersion: string;
  /**
   * Puts `bin/mongod`, and `lib/` where it needs libraries, into the empty folder `ready`; `downloads` is scratch.
   * Rejects with a reason of one line.
   */
  fetch(version: string, ready: string, downloads: string): Promise<void>;
}

/** No fetch takes this long: an older scratch folder belongs to one that was killed. */
const ABANDONED_MS = 3_600_000;

/** The path of this version in the cache, whether it exists or not. */
export function cachedPath(cache: string, version: string): string {
  return join(cache, version, "bin/mongod");
}

/** Resolves with the mongod in the cache, fetched by this process or by a faster one. */
export async function fetchMongod(cache: string, version: string, fetcher: Fetcher): Promise<Mongod> {
  await mkdir(cache, { recursive: true });
  await removeAbandoned(cache);
  const scratch = await mkdtemp(join(cache, ".fetch-"));
  try {
    const ready = join(scratch, "ready");
    const downloads = join(scratch, "downloads");
    await mkdir(ready);
    await mkdir(downloads);
    await fetcher.fetch(version, ready, downloads);
    const { version: brought } = await verifyFetched(join(ready, "bin/mongod"));
    if (brought !== version) throw new Error(`it is ${brought}`);
    await moveIntoPlace(ready, join(cache, version));
    return await verifyFetched(cachedPath(cache, version));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function moveIntoPlace(ready: string, place: string): Promise<void> {
  try {
    await rename(ready, place);
  } catch {
    // Another process was faster, or a broken mongod is there. Only the latter is replaced.
    const isGood = await verifyFetched(join(place, "bin/mongod")).then(
      () => true,
      () => false,
    );
    if (isGood) return;
    await rm(place, { recursive: true, force: true });
    await rename(ready, place);
  }
}

async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(".fetch-")) continue;
    const { mtimeMs } = await stat(join(cache, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(join(cache, name), { recursive: true, force: true });
  }
}
