/** How fast a copy reads: docs/decisions/206-throttled-reads.md. */
import { expect, test } from "bun:test";
import { documents } from "../support/documents.ts";
import { testDatabase } from "../support/replica-set.ts";
import { linesOf, tapAt } from "./tap.ts";

const MB = 1_000_000;

/** A collection of about so many bytes of BSON. */
async function collectionOf(
  bytes: number,
): Promise<{ uri: string; namespace: string; ids: string[] } & TestCollection> {
  const { db, name, uri } = await testDatabase();
  const all = [...documents("typical", Math.round(bytes / 800))];
  await db.collection("c").insertMany(all);
  const size = (await db.command({ collStats: "c" }))["size"] as number;
  return { uri, namespace: `${name}.c`, ids: all.map(({ _id }) => _id.toHexString()), size, db };
}

interface TestCollection {
  readonly size: number;
  readonly db: Awaited<ReturnType<typeof testDatabase>>["db"];
}

function idsIn(stdout: string): unknown[] {
  return linesOf(stdout).map(({ _id }) => (_id as { $oid: string }).$oid);
}

test("--rate-limit 1MB: a backfill of 3 MB takes about 3 s, and nothing is lost", async () => {
  const { uri, namespace, ids, size } = await collectionOf(3 * MB);
  const tap = tapAt(uri);
  const fast = await tap.expect(0, ["backfill", namespace]);
  const slow = await tap.expect(0, ["backfill", namespace, "--rate-limit", "1MB"]);
  const seconds = size / MB;
  expect(seconds).toBeWithin(2.5, 3.5);
  // Half a second's worth may be written at once. The upper limit is generous, since both runs share the machine with
  // others: test/pipeline/throttle.test.ts holds the exact rate, with a clock of its own.
  expect(slow.ms / 1000).toBeGreaterThan(seconds - 1);
  expect((slow.ms - fast.ms) / 1000).toBeLessThan(2 * seconds);
  expect(idsIn(slow.stdout)).toEqual(ids);
  expect(slow.stdout).toBe(fast.stdout);
});

test("a capture that copies slowly writes a change before the rest of the copy", async () => {
  const { uri, namespace, ids, db } = await collectionOf(2 * MB);
  await using capture = tapAt(uri).start(["capture", namespace, "--rate-limit", "200kB"]);
  await capture.waitForLine((line) => line.includes('"snapshot":true'));
  await db.collection("c").insertOne({ _id: "new" as never });
  await capture.waitForLine((line) => line.startsWith('{"_id":"new"'));
  expect(capture.stdout.split("\n").length).toBeLessThan(ids.length); // the copy is still under way
});

test("large documents, and views, come in pieces that are small enough for the rate", async () => {
  const { db, name, uri } = await testDatabase();
  await db.collection("c").insertMany([...documents("large", 150)]);
  await db.createCollection("v", { viewOn: "c", pipeline: [] });
  for (const what of ["c", "v"]) {
    await using backfill = tapAt(uri).start(["backfill", `${name}.${what}`, "--rate-limit", "1MB"]);
    await backfill.waitForLine(() => true);
    // What may come at once, and twice the first guess.
    await Bun.sleep(200);
    expect(backfill.stdout.length).toBeWithin(20_000, 1_200_000);
    const { code, stdout } = await backfill.done;
    expect([code, linesOf(stdout).length]).toEqual([0, 150]);
  }
});

test("a rate that a single reply would use up for seconds is refused with 2", async () => {
  const { stderr } = await tapAt("mongodb://127.0.0.1:1").expect(2, ["backfill", "a.b", "--rate-limit", "10kB"]);
  expect(stderr).toContain("--rate-limit takes a size of at least 100kB");
});
