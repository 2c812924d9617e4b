import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { allShares, filesIn, joinedIn, prepareWhole, share, SLOW_MS, SMALL_CHUNKS } from "./parts.ts";

const { database, tap, orders, whole } = await prepareWhole();

describe("the state of a shard", () => {
  test("is not valid for another shard, nor for the whole, even with --accept-change", async () => {
    await using dir = await tempDir();
    const args = ["backfill", orders, "--out", dir.join("out/"), "--state", dir.join("state")];
    const ranges = ["--ranges", dir.join("ranges")];
    await tap.expect(0, [...args, ...share(0), ...ranges]);
    const before = await filesIn(dir.path);
    for (const more of [[], ["--accept-change"]]) {
      const { stderr } = await tap.expect(3, [...args, ...share(1), ...ranges, ...more]);
      expect(stderr).toContain("shard: 0/3 → 1/3");
      await tap.expect(3, [...args, ...share(0, 2), ...more]);
      await tap.expect(3, [...args, ...more]);
      await tap.expect(3, [...args, "--split", ...more]);
    }
    expect(await filesIn(dir.path)).toEqual(before);
  });

  test(
    "records completion: nothing is copied again, also if the shard has no range of a collection",
    async () => {
      await using dir = await tempDir();
      const argsOf = (index: number): string[] => [
        database.name,
        "--out",
        dir.join("out/"),
        "--ranges",
        dir.join("ranges"),
        "--state",
        dir.join(`state${index}`),
      ];
      await allShares(tap, argsOf);
      const before = await filesIn(dir.path);
      for (const { stderr } of await allShares(tap, argsOf)) expect(stderr).toContain("copied already");
      expect(await filesIn(dir.path)).toEqual(before);
    },
    SLOW_MS,
  );

  test("is what a shard resumes from: it holds the split points, and no unknown file appears", async () => {
    await using dir = await tempDir();
    const args = ["backfill", database.name, ...share(1), "--out", dir.join("out/"), "--state", dir.join("state")];
    const cut = [...args, "--ranges", dir.join("ranges")];
    await tap.expect(12, [...cut, "--limit", "1500"]);
    const ranges = await readFile(dir.join("ranges"), "utf8");
    await tap.expect(0, cut);
    expect(await readFile(dir.join("ranges"), "utf8")).toBe(ranges);
    for (const index of [0, 2]) {
      const other = ["backfill", database.name, ...share(index), "--ranges", dir.join("ranges")];
      await tap.expect(0, [...other, "--out", dir.join("out/")]);
    }
    const { view: _, ...expected } = Object.fromEntries(whole);
    const joined = Object.fromEntries(await joinedIn(database, dir.join("out")));
    expect(Object.keys(joined).toSorted()).toEqual(
      expect.arrayContaining(Object.keys(expected).toSorted()) as unknown as string[],
    );
    for (const [name, text] of Object.entries(expected)) expect([name, joined[name] === text]).toEqual([name, true]);
    expect((await filesIn(dir.join("out"))).filter(([file]) => !file.includes("~"))).toEqual([]);
  });

  test("whose file of --ranges is gone makes no new one, which would be cut otherwise", async () => {
    await using dir = await tempDir();
    const args = ["backfill", orders, ...share(0), "--out", dir.join("out/"), "--state", dir.join("state")];
    await tap.expect(12, [...args, "--ranges", dir.join("ranges"), "--limit", "10"]);
    await tap.expect(0, [...args, "--ranges", dir.join("other")]);
    expect(readdirSync(dir.path).toSorted()).toEqual(["out", "ranges", "state"]);
  });
});

test(
  "one shard twice at once, with one folder or one state: the second ends with 75; another shard does not",
  async () => {
    await using dir = await tempDir();
    const common = ["backfill", orders, "--ranges", dir.join("ranges")];
    const args = (out: string, state: string): string[] => [
      ...common,
      "--out",
      dir.join(out),
      "--state",
      dir.join(state),
    ];
    await using first = tap.start([...args("out/", "state"), ...share(0), "--rate-limit", "100kB", ...SMALL_CHUNKS]);
    await waitFor(() => existsSync(dir.join("out")), { what: "the first run to have its locks" });
    first.kill("SIGSTOP"); // it keeps its locks, and cannot finish before the others have started
    await tap.expect(75, [...args("out/", "state2"), ...share(0)]);
    await tap.expect(75, [...args("out2/", "state"), ...share(0)]);
    await tap.expect(0, [...args("out/", "state3"), ...share(1)]);
    first.kill("SIGTERM");
    first.kill("SIGCONT");
    expect((await first.done).code).toBe(12);
  },
  SLOW_MS,
);
