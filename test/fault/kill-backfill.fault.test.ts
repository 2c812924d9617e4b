import { beforeAll, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Tap, tapAt } from "../cli/tap.ts";
import { documents, insertEveryIdType } from "../support/documents.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { killUntilDone } from "./kill.ts";

/** On a machine that is busy with other things; else a tenth of it. */
const TIME_LIMIT_MS = 240_000;
/** For each kind of output. */
const KILLS = 20;
const LONGEST_MS = 700;

let tap: Tap;
let name: string;

beforeAll(async () => {
  const { db, uri, name: database } = await testDatabase();
  tap = tapAt(uri);
  name = database;
  const options = { writeConcern: { w: 1 } };
  await db.collection("orders").insertMany([...documents("small", 40_000)], options);
  await db.collection("large").insertMany([...documents("large", 300)], options);
  await insertEveryIdType(db.collection("mixed"));
  for (let i = 0; i < 5; i += 1)
    await db.collection(`c${i}`).insertMany([...documents("typical", 300 * i + 1)], options);
});

/** All files below a folder, by name. */
async function contentOf(folder: string): Promise<Record<string, Buffer>> {
  const names = await readdir(folder);
  return Object.fromEntries(
    await Promise.all(names.map(async (file) => [file, await readFile(join(folder, file))] as const)),
  );
}

test.each([
  ["one file", "out/all.ndjson", [], []],
  ["a folder of files", "out/", [], []],
  ["one file by three workers", "out/all.ndjson", ["--workers", "3", "--max-memory", "1MB"], []],
  ["a folder of files for each collection", "out/", ["--max-memory", "1MB"], ["--split"]],
  ["the files of one shard", "out/", [], ["--shard", "1/3", "--ranges", "DIR/ranges"]],
] as const)(
  "a backfill into %s that is killed -9 at any time leaves, byte for byte, what an undisturbed one does",
  async (_, target, throttle, parts) => {
    await using calm = await tempDir();
    const partsIn = (folder: string): string[] => parts.map((arg) => arg.replace("DIR", folder));
    if (target.endsWith("/"))
      await tap.expect(0, ["backfill", name, "--out", calm.join("out/"), ...partsIn(calm.path)]);
    else await tap.expect(0, ["backfill", name, "--out", calm.join("all.ndjson")]);
    const expected = target.endsWith("/")
      ? await contentOf(calm.join("out"))
      : { "all.ndjson": await readFile(calm.join("all.ndjson")) };

    const random = randomFor(`kill-backfill ${target} ${[...throttle, ...parts].join(" ")}`);
    let kills = 0;
    let ahead = 0;
    while (kills < KILLS) {
      await using dir = await tempDir();
      // Nothing is there: not even the folder.
      const state = dir.join("state");
      const args = [
        "backfill",
        name,
        "--out",
        `${dir.path}/${target}`,
        "--state",
        state,
        ...throttle,
        ...partsIn(dir.path),
      ];
      if (!target.endsWith("/")) await Bun.write(dir.join("out/.keep"), "");
      const deaths = await killUntilDone({ tap, args, state, longestMs: LONGEST_MS, random }, KILLS - kills);
      kills += deaths.kills;
      ahead += deaths.ahead;
      await tap.expect(0, args);
      const { ".keep": _keep, ...found } = await contentOf(dir.join("out"));
      expect(Object.keys(found)).toEqual(Object.keys(expected));
      for (const [file, bytes] of Object.entries(expected)) {
        if (found[file]?.equals(bytes) !== true)
          throw new Error(`${file} differs: ${found[file]?.length} bytes, not ${bytes.length}`);
      }
    }
    expect(kills).toBe(KILLS);
    expect(ahead).toBeGreaterThan(0);
  },
  TIME_LIMIT_MS,
);
