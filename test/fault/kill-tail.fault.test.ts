import { beforeAll, expect, test } from "bun:test";
import { copyFile, readFile, rename } from "node:fs/promises";
import { firstDifference, type Line, type Tap, tapAt, textLinesOf } from "../cli/tap.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { killUntilDone } from "./kill.ts";
import { type Item, startWriter } from "./writer.ts";

/** On a machine that is busy with other things; else a tenth of it. */
const TIME_LIMIT_MS = 240_000;
/** For each envelope. */
const KILLS = 20;
const LONGEST_MS = 600;
const KEYS = 200;

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
});

/**
 * The line without the document of an update: it is that of the time of the look-up, so it may differ from run
 * to run. What was changed stays.
 */
function comparable(text: string): string {
  const line = JSON.parse(text) as Line;
  if (line["update"] === undefined && line["updateDescription"] === undefined) return text;
  return JSON.stringify({ ...line, document: null, fullDocument: null });
}

test.each(["change", "raw"])(
  "a tail (--envelope %s) that is killed -9 at any time under load writes each event once, in order, as an undisturbed one does",
  async (envelope) => {
    const collection = database.db.collection<Item>(envelope);
    await collection.insertMany(Array.from({ length: KEYS }, (_, i) => ({ _id: i, v: -1, note: "" })));
    await using dir = await tempDir();
    const [out, state] = [dir.join("out"), dir.join("state")];
    const args = ["tail", `${database.name}.${envelope}`, "--envelope", envelope, "--out", out, "--state", state];
    await tap.expect(0, [...args, "--until", "caught-up"]);
    await copyFile(state, dir.join("pinned"));

    const random = randomFor(`kill-tail ${envelope}`);
    const writer = startWriter(collection, {
      keys: KEYS,
      pauseMs: 2,
      random: randomFor(`kill-tail writer ${envelope}`),
    });
    const { kills, ahead } = await killUntilDone({ tap, args, state, longestMs: LONGEST_MS, random }, KILLS);
    await writer.stop();
    expect(kills).toBe(KILLS);
    expect(ahead).toBeGreaterThan(0);
    await tap.expect(0, [...args, "--until", "caught-up"]);
    const disturbed = textLinesOf(await readFile(out, "utf8"));

    await rename(out, dir.join("disturbed"));
    await rename(dir.join("pinned"), state);
    await Bun.write(out, "");
    await tap.expect(0, [...args, "--until", "caught-up"]);
    const undisturbed = textLinesOf(await readFile(out, "utf8"));
    expect(firstDifference(disturbed.map(comparable), undisturbed.map(comparable))).toBeUndefined();

    // And without trusting the other run: every acknowledged insert and replacement, once, in its order.
    const versions = disturbed.flatMap((text) => {
      const { operationType, op, update, document, fullDocument } = JSON.parse(text) as Line;
      const isWhole =
        operationType === "insert" || operationType === "replace" || op === "c" || (op === "u" && !update);
      return isWhole ? [((document ?? fullDocument) as Item).v] : [];
    });
    expect(versions).toEqual([...writer.acknowledged]);
    expect(versions.length).toBeGreaterThan(KILLS);
  },
  TIME_LIMIT_MS,
);
