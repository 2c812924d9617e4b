import { beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { digestOf } from "../support/digest.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { canMount, smallDisk } from "../support/small-disk.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { type Tap, tapAt } from "./tap.ts";

/** Large enough for the thread that writes to be started, several times over. */
const COUNT = 40_000;

let database: TestDatabase;
let tap: Tap;
/** What a backfill to a pipe gives. */
let piped: string;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  for (let from = 0; from < COUNT; from += 10_000) {
    await database.db.collection("orders").insertMany([...documents("typical", 10_000, from)]);
  }
  const { stdout } = await tap.expect(0, ["backfill", database.name]);
  expect(stdout.length).toBeGreaterThan(30_000_000);
  piped = digestOf(stdout);
});

test("a large export has the same bytes in a file as in a pipe", async () => {
  await using dir = await tempDir();
  await tap.expect(0, ["backfill", database.name, "--out", dir.join("out")]);
  expect(digestOf(readFileSync(dir.join("out")))).toBe(piped);
});

test("kill -9 in the middle of a large export, and the next run leaves the same bytes", async () => {
  await using dir = await tempDir();
  const [out, state] = [dir.join("out"), dir.join("state.json")];
  const args = ["backfill", database.name, "--out", out, "--state", state];
  for (const megabytes of [10, 20]) {
    await using program = tap.start([...args, "--rate-limit", "20MB"]);
    const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);
    const isThere = (): boolean => sizeOf(`${out}.partial`) + sizeOf(out) > megabytes * 1_000_000;
    await waitFor(isThere, { what: `${megabytes} MB` });
    program.kill("SIGKILL");
    expect((await program.done).signal).toBe("SIGKILL");
  }
  await tap.expect(0, args);
  expect(digestOf(readFileSync(out))).toBe(piped);
});

test.if(canMount())(
  "an export without room on the disk says so, not how much there would have been of it",
  async () => {
    await using dir = await tempDir();
    using _ = smallDisk(dir.join("disk"), "20m");
    const { stderr } = await tap.expect(8, ["backfill", database.name, "--out", dir.join("disk/out")]);
    expect(stderr).toMatch(/^mongotap: cannot write to .*: no space left on the device\n {2}.*\n$/);
    expect(readFileSync(dir.join("disk/out.partial"), "utf8")).toEndWith("}\n");
  },
);
