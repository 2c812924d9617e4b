import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { documents } from "../support/documents.ts";
import { testDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { prepareWhole, share } from "./parts.ts";
import { linesIn, tapAt } from "./tap.ts";

const { database, tap, orders } = await prepareWhole();

test("a collection created after --ranges was written is omitted by all shards, with a warning", async () => {
  await using dir = await tempDir();
  const late = await testDatabase();
  const whole = tapAt(late.uri);
  await late.db.collection("first").insertMany([...documents("small", 90)]);
  const args = (index: number): string[] => ["backfill", late.name, ...share(index), "--ranges", dir.join("ranges")];
  await whole.expect(0, [...args(0), "--out", dir.join("0")]);
  await late.db.collection("second").insertMany([...documents("small", 90)]);
  for (const index of [1, 2]) {
    const { stderr } = await whole.expect(0, [...args(index), "--out", dir.join(String(index))]);
    expect(stderr).toContain(`${late.name}.second came after ${dir.join("ranges")} was made: no share reads it`);
  }
  const lines = await Promise.all(["0", "1", "2"].map((name) => linesIn(dir.join(name))));
  expect(lines.map(({ length }) => length)).toEqual([30, 30, 30]);
});

describe("--ranges of a file that cannot be meant ends with 3, in one line that names it:", () => {
  /** Written by shard 0 of 3, for the collection `few` or another. */
  async function rangesIn(dir: TempDir, collection = "few"): Promise<string> {
    const path = dir.join("ranges");
    await tap.expect(0, ["backfill", `${database.name}.${collection}`, ...share(0), "--ranges", path]);
    return path;
  }

  async function refused(path: string, args: readonly string[]): Promise<string> {
    const { stderr, stdout } = await tap.expect(3, ["backfill", ...args, "--ranges", path]);
    const lines = stderr.split("\n").filter((line) => line.includes(path));
    expect(lines).toHaveLength(1);
    expect(stdout).toBe("");
    return lines[0] ?? "";
  }

  test("another number of shards", async () => {
    await using dir = await tempDir();
    const path = await rangesIn(dir);
    expect(await refused(path, [`${database.name}.few`, ...share(1, 4)])).toContain("cuts for 3 shares, not 4");
  });

  test("another collection", async () => {
    await using dir = await tempDir();
    const path = await rangesIn(dir);
    expect(await refused(path, [orders, ...share(1)])).toContain(`does not say where ${orders} is cut`);
  });

  test("a collection that was dropped and made again", async () => {
    await using dir = await tempDir();
    const again = database.db.collection("again");
    await again.insertMany([...documents("small", 10)]);
    const path = await rangesIn(dir, "again");
    await again.drop();
    await again.insertMany([...documents("small", 10)]);
    const said = await refused(path, [`${database.name}.again`, ...share(1)]);
    expect(said).toContain(`is about a ${database.name}.again that was dropped or re-created since`);
  });

  test.each([
    ["nothing", () => ""],
    ["no JSON", (text: string) => text.slice(0, -10)],
    ["another version", (text: string) => text.replace('"formatVersion": 2', '"formatVersion": 1')],
    ["a member too many", (text: string) => text.replace("{", '{"x": 1,')],
    ["a key that is none", (text: string) => text.replace(/"keys": \[\n +"/, "$&!")],
    ["keys in another order", (text: string) => text.replace(/("keys": \[\n +)("[^"]+"),(\s+)("[^"]+")/, "$1$4,$3$2")],
    ["too few keys for its partitions", (text: string) => text.replace('"partitions": 3', '"partitions": 4')],
  ])("damaged: %s", async (_, damage) => {
    await using dir = await tempDir();
    const path = await rangesIn(dir, "plain");
    const text = await readFile(path, "utf8");
    expect(damage(text)).not.toBe(text);
    await writeFile(path, damage(text));
    expect(await refused(path, [`${database.name}.plain`, ...share(1)])).not.toContain("state file");
  });

  test("writable by others, a symbolic link, a folder", async () => {
    await using dir = await tempDir();
    const path = await rangesIn(dir);
    await chmod(path, 0o664);
    const args = [`${database.name}.few`, ...share(1)];
    expect(await refused(path, args)).toContain("other users may write to it (chmod go-w)");
    await chmod(path, 0o644); // reading it does no harm
    await symlink(path, dir.join("link"));
    expect(await refused(dir.join("link"), args)).toContain("it is a symbolic link");
    await mkdir(dir.join("folder"));
    expect(await refused(dir.join("folder"), args)).toContain("it is a directory");
    await tap.expect(0, ["backfill", ...args, "--ranges", path]);
  });
});

test("--ranges that cannot be written end with 8, before a line is", async () => {
  await using dir = await tempDir();
  const { stdout, stderr } = await tap.expect(8, ["backfill", orders, ...share(0), "--ranges", dir.join("no/ranges")]);
  expect([stdout, stderr]).toEqual(["", expect.stringContaining(`cannot write ${dir.join("no/ranges")}`)]);
});

describe("command lines that mean nothing end with 2:", () => {
  test.each(["3/3", "1", "a/b", "-1/3", "0/0", "1/", "1/3/3", ""])("--shard %p", async (value) => {
    const { stderr } = await tap.expect(2, ["backfill", orders, `--shard=${value}`]);
    expect(stderr).toContain("--shard");
  });

  test("--ranges without --shard", async () => {
    const { stderr } = await tap.expect(2, ["backfill", orders, "--ranges", "/nowhere/ranges"]);
    expect(stderr).toContain("it needs --shard I/N");
  });

  test.each(["-", "file.ndjson"])("--split into %s, which is no folder", async (out) => {
    const { stderr } = await tap.expect(2, ["backfill", orders, "--split", "--out", out]);
    expect(stderr).toContain("--out DIR/");
    expect(existsSync(out)).toBe(false);
  });

  test.each(["tail", "capture"])("--shard and --split of %s", async (command) => {
    await tap.expect(2, [command, orders, ...share(0)]);
    await tap.expect(2, [command, orders, "--split", "--out", "x/"]);
  });
});
