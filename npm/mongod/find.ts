/** Finds a mongod: the one in MONGOTAP_MONGOD, on PATH, in the cache, or a new download. */
import { constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { DOWNLOAD } from "./download.ts";
import { type Fetcher, cachedPath, fetchMongod } from "./fetch.ts";
import { type Mongod, exists, reasonOf, verify, verifyFetched } from "./verify.ts";

export interface FindOptions {
  /** Exactly this version; default: `MONGOTAP_MONGOD_VERSION`, else any supported one. */
  readonly version?: string | undefined;
  /** For tests of the order. Default: `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Ways to fetch one, the first that works. Default: the download. */
  readonly fetchers?: readonly Fetcher[];
  /** The folder for fetched ones, unless `MONGOTAP_CACHE` names another. Default: the user's cache folder. */
  readonly cache?: string;
}

/** Older servers have no snapshot reads outside transactions. */
const OLDEST_MAJOR = 5;

const found = new Map<string, Promise<Mongod>>();

/**
 * Finds a mongod in this order: `MONGOTAP_MONGOD`; `mongod` on PATH; fetched earlier (`mongod/<version>` in the cache);
 * fetched now. Rejects with one line that lists what was tried.
 */
export async function findMongod(options: FindOptions = {}): Promise<Mongod> {
  if (options.environment !== undefined) return await search(options);
  const key = JSON.stringify([options.version, options.cache, options.fetchers?.map(({ name }) => name)]);
  const searching = found.get(key) ?? search(options);
  found.set(key, searching);
  return await searching;
}

async function search(options: FindOptions): Promise<Mongod> {
  const { version, environment = process.env, fetchers = [DOWNLOAD] } = options;
  const wanted = version ?? (environment["MONGOTAP_MONGOD_VERSION"] || undefined);
  const cache = resolve(environment["MONGOTAP_CACHE"] || (options.cache ?? userCache(environment)), "mongod");
  const tried: string[] = [];

  for (const { name, find } of placesToLook(environment, cache, wanted, fetchers)) {
    try {
      const mongod = await find();
      const reason = mongod === undefined ? "none" : reasonAgainst(mongod.version, wanted);
      if (mongod !== undefined && reason === undefined) return mongod;
      tried.push(`${name}: ${reason}`);
    } catch (error) {
      tried.push(`${name}: ${reasonOf(error)}`);
    }
    // MONGOTAP_MONGOD is never replaced silently, unless another version is wanted.
    if (name === "MONGOTAP_MONGOD" && wanted === undefined) throw new Error(`No usable mongod at ${tried.join()}`);
  }

  for (const fetcher of fetchers) {
    const candidate = wanted ?? fetcher.defaultVersion;
    try {
      return await fetchMongod(cache, candidate, fetcher);
    } catch (error) {
      tried.push(`${fetcher.name} (${candidate}): ${reasonOf(error)}`);
    }
  }
  const what = wanted === undefined ? "mongod" : `mongod ${wanted}`;
  throw new Error(`No ${what} found; set MONGOTAP_MONGOD to one. Tried: ${tried.join("; ")}`);
}

function userCache(environment: Readonly<Record<string, string | undefined>>): string {
  const ofSystem = process.platform === "darwin" ? "Library/Caches" : ".cache";
  return join(environment["XDG_CACHE_HOME"] || join(homedir(), ofSystem), "mongotap");
}

interface Place {
  readonly name: string;
  /** Resolves with `undefined` if there is none. */
  readonly find: () => Promise<Mongod | undefined>;
}

function* placesToLook(
  environment: Readonly<Record<string, string | undefined>>,
  cache: string,
  wanted: string | undefined,
  fetchers: readonly Fetcher[],
): Generator<Place> {
  const named = environment["MONGOTAP_MONGOD"];
  if (named) yield { name: "MONGOTAP_MONGOD", find: async () => await verify(resolve(named)) };

  yield {
    name: "PATH",
    find: async () => {
      for (const folder of (environment["PATH"] ?? "").split(delimiter)) {
        const path = resolve(folder, "mongod");
        if (folder !== "" && (await exists(path, constants.X_OK))) return await verify(path);
      }
      return undefined;
    },
  };

  for (const version of wanted === undefined ? fetchers.map((fetcher) => fetcher.defaultVersion) : [wanted]) {
    const path = cachedPath(cache, version);
    const find = async (): Promise<Mongod | undefined> =>
      (await exists(path)) ? await verifyFetched(path) : undefined;
    yield { name: `fetched earlier (${version})`, find };
  }
}

function reasonAgainst(version: string, wanted: string | undefined): string | undefined {
  if (wanted !== undefined) return version === wanted ? undefined : `is ${version}`;
  return Number.parseInt(version, 10) >= OLDEST_MAJOR ? undefined : `is ${version}, too old`;
}
