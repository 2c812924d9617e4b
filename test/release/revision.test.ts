import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { revisionOf } from "../../scripts/build/revision.ts";
import { tempDir } from "../support/temp.ts";

const GIT = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"];

test("revisionOf() names the commit and its time, and says when files differ from it", async () => {
  await using dir = await tempDir();
  const git = (...args: string[]): string =>
    execFileSync("git", ["-C", dir.path, ...GIT, ...args], {
      encoding: "utf8",
      env: { ...process.env, GIT_COMMITTER_DATE: "2026-01-31T12:00:00Z" },
    }).trim();
  git("init", "--quiet");
  writeFileSync(dir.join("file"), "a");
  git("add", "file");
  git("commit", "--quiet", "--message", "one");
  const short = git("rev-parse", "HEAD").slice(0, 7);
  expect(revisionOf(dir.path, {})).toEqual({ commit: short, time: new Date("2026-01-31T12:00:00Z") });
  writeFileSync(dir.join("untracked"), "a");
  expect(revisionOf(dir.path, {}).commit).toBe(short);
  writeFileSync(dir.join("file"), "b");
  expect(revisionOf(dir.path, {}).commit).toBe(`${short}-dirty`);
});

test("SOURCE_DATE_EPOCH is the time, also outside a checkout", async () => {
  await using dir = await tempDir();
  const outside = { GIT_CEILING_DIRECTORIES: dir.path };
  expect(revisionOf(dir.path, { ...outside, SOURCE_DATE_EPOCH: "1700000000" })).toEqual({
    commit: "unknown commit",
    time: new Date(1_700_000_000_000),
  });
  expect(() => revisionOf(dir.path, { SOURCE_DATE_EPOCH: "yesterday" })).toThrow("SOURCE_DATE_EPOCH");
});
