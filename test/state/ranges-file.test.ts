import { expect, test } from "bun:test";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import type { MongotapError } from "../../src/errors.ts";
import { loadRanges, type RangesFile, publishRanges } from "../../src/state/ranges-file.ts";
import { tempDir } from "../support/temp.ts";
import { rejectionOf } from "../support/rejection.ts";

function ranges(...keys: string[]): RangesFile {
  return {
    formatVersion: 2,
    shards: 4,
    collections: { "app.größe": { uuid: "e1b2", partitions: 4, keys }, "a.b": NONE },
  };
}

const NONE = { uuid: null, partitions: 4, keys: [] };

test("loadRanges() resolves to what shareRanges() has put there, and to undefined where there is nothing", async () => {
  await using dir = await tempDir();
  expect(await loadRanges(dir.join("ranges"))).toBeUndefined();
  expect(await loadRanges(dir.join("no/ranges"))).toBeUndefined();
  expect(await publishRanges(dir.join("ranges"), ranges("a", "b"))).toEqual(ranges("a", "b"));
  expect(await loadRanges(dir.join("ranges"))).toEqual(ranges("a", "b"));
  expect(readdirSync(dir.path)).toEqual(["ranges"]);
});

test("the file is its owner's", async () => {
  await using dir = await tempDir();
  await publishRanges(dir.join("ranges"), ranges("a"));
  if (process.platform !== "win32") expect(statSync(dir.join("ranges")).mode & 0o777).toBe(0o600);
});

test("of many writers at once one wins: all get what it has written", async () => {
  for (let round = 0; round < 20; round += 1) {
    await using dir = await tempDir();
    const writers = Array.from({ length: 5 }, (_, i) => publishRanges(dir.join("ranges"), ranges(`key of ${i}`)));
    const [first, ...others] = await Promise.all(writers);
    expect(others).toEqual(others.map(() => first as RangesFile));
    expect(await loadRanges(dir.join("ranges"))).toEqual(first);
    expect(readdirSync(dir.path)).toEqual(["ranges"]);
  }
});

test("what is there is never replaced", async () => {
  await using dir = await tempDir();
  await publishRanges(dir.join("ranges"), ranges("a"));
  const before = readFileSync(dir.join("ranges"), "utf8");
  expect(await publishRanges(dir.join("ranges"), ranges("b"))).toEqual(ranges("a"));
  expect(readFileSync(dir.join("ranges"), "utf8")).toBe(before);
});

test("a crash before the file has its name leaves none, one behind that leaves a whole one", async () => {
  await using dir = await tempDir();
  const leftover = dir.join(".ranges.0123456789abcdef.tmp");
  await publishRanges(dir.join("ranges"), ranges("a"));
  renameSync(dir.join("ranges"), leftover);
  expect(await loadRanges(dir.join("ranges"))).toBeUndefined();
  expect(await publishRanges(dir.join("ranges"), ranges("b"))).toEqual(ranges("b"));
  expect(await loadRanges(dir.join("ranges"))).toEqual(ranges("b"));
  linkSync(leftover, dir.join("other"));
  expect(await publishRanges(dir.join("other"), ranges("c"))).toEqual(ranges("a"));
  // Nor may half a temporary file, of whoever it is, be in the way.
  writeFileSync(leftover, "{");
  expect(await loadRanges(dir.join("ranges"))).toEqual(ranges("b"));
});

test("a file in which any byte was changed, or that was cut anywhere, is refused", async () => {
  await using dir = await tempDir();
  const path = dir.join("ranges");
  await publishRanges(path, ranges("a", "b"));
  const text = readFileSync(path, "utf8");
  const end = text.lastIndexOf("}") + 1;
  for (let i = 0; i < end; i += 1) {
    if (/\s/.test(text.charAt(i))) continue; // between members it means nothing
    const changed = text.slice(0, i) + (text[i] === "1" ? "2" : "1") + text.slice(i + 1);
    for (const damaged of [changed, text.slice(0, i)]) {
      writeFileSync(path, damaged);
      const error = (await rejectionOf(loadRanges(path))) as MongotapError;
      expect([error.kind, error.message]).toEqual(["state", expect.stringContaining(path)]);
      expect(error.message).not.toContain("\n");
    }
  }
});

test("a folder that is not there is told as an output that cannot be written", async () => {
  await using dir = await tempDir();
  const error = (await rejectionOf(publishRanges(dir.join("no/ranges"), ranges("a")))) as MongotapError;
  expect([error.kind, error.message]).toEqual(["output", expect.stringContaining(dir.join("no/ranges"))]);
  mkdirSync(dir.join("ranges"));
  const other = (await rejectionOf(publishRanges(dir.join("ranges"), ranges("a")))) as MongotapError;
  expect([other.kind, other.message]).toEqual(["state", expect.stringContaining("it is a directory")]);
  expect(readdirSync(dir.path)).toEqual(["ranges"]);
});
