/** The order of findMongod(), with fake programs: no server is started. */
import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Fetcher } from "../../npm/mongod/fetch.ts";
import { findMongod } from "../../npm/mongod/find.ts";
import { rejectionOf } from "../support/rejection.ts";
import { tempDir } from "../support/temp.ts";

async function fakeMongod(path: string, version: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "db version v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

function fakeFetcher(name: string, defaultVersion: string, log: string[] = []): Fetcher {
  return {
    name,
    defaultVersion,
    async fetch(version, ready) {
      log.push(`${name} ${version}`);
      await fakeMongod(join(ready, "bin/mongod"), version);
    },
  };
}

const blocked: Fetcher = {
  name: "blocked",
  defaultVersion: "8.0.0",
  fetch: () => Promise.reject(new Error("no answer\nsecond line")),
};

test("findMongod() takes MONGOTAP_MONGOD before PATH, PATH before the cache, the cache before a fetch", async () => {
  await using dir = await tempDir();
  const named = await fakeMongod(dir.join("named/my-mongod"), "9.0.1");
  const onPath = await fakeMongod(dir.join("path/mongod"), "9.0.2");
  const cached = await fakeMongod(dir.join("cache/mongod/9.0.3/bin/mongod"), "9.0.3");
  const fetchers = [blocked, fakeFetcher("fake", "9.0.3")];
  const MONGOTAP_CACHE = dir.join("cache");
  const PATH = `${dir.join("nothing")}:${dir.join("path")}`;
  const find = async (environment: Record<string, string>): Promise<string> =>
    (await findMongod({ environment: { MONGOTAP_CACHE, ...environment }, fetchers })).path;

  expect(await find({ MONGOTAP_MONGOD: named, PATH })).toBe(named);
  expect(await find({ PATH })).toBe(onPath);
  expect(await find({})).toBe(cached);
});

test("findMongod() keeps what it fetches in the cache of the user, unless another folder is named", async () => {
  await using dir = await tempDir();
  const fetchers = [fakeFetcher("fake", "9.0.0")];
  const environment = { XDG_CACHE_HOME: dir.join("user") };
  const own = await findMongod({ environment, fetchers });
  expect(own.path).toBe(dir.join("user/mongotap/mongod/9.0.0/bin/mongod"));
  const other = await findMongod({ environment, fetchers, cache: dir.join("other") });
  expect(other.path).toBe(dir.join("other/mongod/9.0.0/bin/mongod"));
});

test("findMongod() fetches by the next way when one fails, and finds it in the cache the next time", async () => {
  await using dir = await tempDir();
  const log: string[] = [];
  const options = {
    environment: { MONGOTAP_CACHE: dir.join("cache") },
    fetchers: [blocked, fakeFetcher("first", "9.1.0", log), fakeFetcher("second", "9.2.0", log)],
  };
  const fetched = await findMongod(options);
  expect(fetched).toEqual({ path: dir.join("cache/mongod/9.1.0/bin/mongod"), env: {}, version: "9.1.0" });
  expect(await findMongod(options)).toEqual(fetched);
  expect(log).toEqual(["first 9.1.0"]);
  expect(await readdir(dir.join("cache/mongod"))).toEqual(["9.1.0"]);
});

test("findMongod() with a version skips every mongod of another version", async () => {
  await using dir = await tempDir();
  const environment = {
    MONGOTAP_MONGOD: await fakeMongod(dir.join("named"), "9.0.1"),
    PATH: dirname(await fakeMongod(dir.join("path/mongod"), "9.0.2")),
    MONGOTAP_CACHE: dir.join("cache"),
  };
  const fetchers = [fakeFetcher("fake", "9.9.9")];
  expect((await findMongod({ version: "9.0.2", environment, fetchers })).path).toBe(dir.join("path/mongod"));
  expect((await findMongod({ version: "9.0.4", environment, fetchers })).version).toBe("9.0.4");
  const byEnvironment = { ...environment, MONGOTAP_MONGOD_VERSION: "9.0.4" };
  expect((await findMongod({ environment: byEnvironment, fetchers: [] })).version).toBe("9.0.4");
});

test("findMongod() skips a mongod on PATH that is too old", async () => {
  await using dir = await tempDir();
  const PATH = dirname(await fakeMongod(dir.join("path/mongod"), "4.4.29"));
  const environment = { PATH, MONGOTAP_CACHE: dir.join("cache") };
  expect((await findMongod({ environment, fetchers: [fakeFetcher("fake", "9.0.0")] })).version).toBe("9.0.0");
});

test("findMongod() never replaces a broken MONGOTAP_MONGOD silently", async () => {
  await using dir = await tempDir();
  const environment = { MONGOTAP_MONGOD: dir.join("missing"), MONGOTAP_CACHE: dir.join("cache") };
  const search = findMongod({ environment, fetchers: [fakeFetcher("fake", "9.0.0")] });
  expect((await rejectionOf(search)).message).toMatch(/^No usable mongod at MONGOTAP_MONGOD: .*ENOENT/);
});

test("findMongod() rejects with one line that lists what it tried", async () => {
  await using dir = await tempDir();
  const environment = { PATH: dir.path, MONGOTAP_CACHE: dir.join("cache") };
  await fakeMongod(dir.join("cache/mongod/8.0.0/bin/mongod"), "8.0.1-broken").then((path) => writeFile(path, "exit 1"));
  const search = findMongod({ environment, fetchers: [blocked], version: "8.0.0" });
  expect((await rejectionOf(search)).message).toMatch(
    /^No mongod 8\.0\.0 found; set MONGOTAP_MONGOD to one\. Tried: PATH: none; fetched earlier \(8\.0\.0\): [^\n]+; blocked \(8\.0\.0\): no answer$/,
  );
});

test("two processes that fetch at once both get a whole mongod and leave no scratch behind", async () => {
  await using dir = await tempDir();
  const options = {
    environment: { MONGOTAP_CACHE: dir.join("cache") },
    fetchers: [fakeFetcher("fake", "9.0.0")],
  };
  const all = await Promise.all(Array.from({ length: 5 }, () => findMongod(options)));
  expect(new Set(all.map(({ path }) => path))).toEqual(new Set([dir.join("cache/mongod/9.0.0/bin/mongod")]));
  expect(await readdir(dir.join("cache/mongod"))).toEqual(["9.0.0"]);
});

test("a broken mongod in the cache is replaced by a whole one", async () => {
  await using dir = await tempDir();
  const cached = await fakeMongod(dir.join("cache/mongod/9.0.0/bin/mongod"), "9.0.0");
  await writeFile(cached, "cut off");
  const environment = { MONGOTAP_CACHE: dir.join("cache") };
  expect((await findMongod({ environment, fetchers: [fakeFetcher("fake", "9.0.0")] })).version).toBe("9.0.0");
});
