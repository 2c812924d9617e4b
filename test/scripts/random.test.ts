import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { Random, SEED_VARIABLE, seedFrom } from "../../scripts/lib/random.ts";
import { randomFor } from "../support/random.ts";
import { tempDir } from "../support/temp.ts";

const ROOT = join(import.meta.dirname, "../..");

function firstOf(random: Random): number[] {
  return Array.from({ length: 5 }, () => random.next());
}

test("a generator depends on the seed and on its name", () => {
  const first = firstOf(Random.for(1, "a"));
  expect(firstOf(Random.for(1, "a"))).toEqual(first);
  expect(firstOf(Random.for(2, "a"))).not.toEqual(first);
  expect(firstOf(Random.for(1, "b"))).not.toEqual(first);
});

test("a generator reaches both ends of a range", () => {
  const random = new Random(1);
  const drawn = new Set(Array.from({ length: 200 }, () => random.whole(4)));
  expect(drawn).toEqual(new Set([0, 1, 2, 3]));
});

test("seedFrom() takes the seed of the environment, refuses what is none, and picks one if there is none", () => {
  expect(seedFrom({ [SEED_VARIABLE]: "17" })).toBe(17);
  for (const wrong of ["x", "-1", "1.5", "2147483648"])
    expect(() => seedFrom({ [SEED_VARIABLE]: wrong })).toThrow(SEED_VARIABLE);
  expect(seedFrom({})).toBeLessThan(2 ** 31);
});

test("randomFor() and fast-check use the seed of this run", () => {
  const seed = seedFrom(process.env);
  expect(process.env[SEED_VARIABLE]).toBe(String(seed));
  expect(firstOf(randomFor("x"))).toEqual(firstOf(Random.for(seed, "x")));
  expect(fc.readConfigureGlobal()?.seed).toBe(seed);
});

/** What `bun test`, without scripts/test.ts, prints for a test that prints a random number. */
async function plainRun(env: Readonly<Record<string, string>>): Promise<{ seed: string; drawn: string }> {
  await using dir = await tempDir();
  const module = JSON.stringify(join(ROOT, "test/support/random.ts"));
  await writeFile(
    dir.join("draw.test.ts"),
    `import { test } from "bun:test";
import { randomFor } from ${module};
test("draw", () => console.log("drawn " + randomFor("x").next()));`,
  );
  const { [SEED_VARIABLE]: _ours, ...inherited } = process.env;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["test", "--preload", join(ROOT, "test/setup.ts"), "./draw.test.ts"],
    { cwd: dir.path, env: { ...inherited, ...env }, encoding: "utf8" },
  );
  return { seed: /_SEED=(\d+)/.exec(stderr)?.[1] ?? "", drawn: /drawn (\S+)/.exec(stdout)?.[1] ?? "" };
}

test("a plain `bun test` prints the seed it picked, and repeats its choices when that is set", async () => {
  const { seed, drawn } = await plainRun({});
  expect(seed).not.toBe("");
  expect(drawn).not.toBe("");
  expect(await plainRun({ [SEED_VARIABLE]: seed })).toEqual({ seed: "", drawn });
});
