import { beforeAll, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { BSON } from "mongodb";
import { must } from "../../src/errors.ts";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import { firstDifference, type Line, linesOf, type Tap, tapAt } from "../cli/tap.ts";
import { documents } from "../support/documents.ts";
import { randomFor } from "../support/random.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { killUntilDone } from "./kill.ts";
import { type Item, startWriter } from "./writer.ts";

/** On a machine that is busy with other things; else a tenth of it. */
const TIME_LIMIT_MS = 240_000;
/** For each kind of output. */
const KILLS = 20;
const LONGEST_MS = 700;
const KEYS = 15_000;

let tap: Tap;

beforeAll(async () => {
  tap = tapAt((await testDatabase()).uri);
});

async function prepare(): Promise<TestDatabase> {
  const database = await testDatabase();
  const items = Array.from({ length: KEYS }, (_, i) => ({ _id: i, v: -1, note: "copied" }));
  await database.db.collection<Item>("items").insertMany(items);
  await database.db.collection("aside").insertMany([...documents("typical", 1_500)]);
  return database;
}

/** The token of the position that a capture has pinned, from its first state. */
async function pinnedToken(state: string): Promise<string> {
  const saved = await waitFor(() => loadCheckpoint(state, { readOnly: true }), { what: "the first state", everyMs: 5 });
  const stream = must(saved.position.stream, "the pinned position");
  return String(BSON.deserialize(Buffer.from(stream.token, "base64"))["_data"]);
}

async function linesBelow(dir: TempDir): Promise<Line[]> {
  const texts = (await readdir(dir.join("out"))).map((name) => readFile(dir.join("out", name), "utf8"));
  return linesOf((await Promise.all(texts)).join(""));
}

function nameOf({ _id, _meta }: Line): string {
  return `${_meta?.source.collection}/${JSON.stringify(_id)}`;
}

/** The event of a line. */
function eventOf(line: Line): string {
  return `${line._meta?.order} ${line._meta?.op} ${nameOf(line)}`;
}

/** Per key: orders grow strictly, and behind a delete comes nothing but a new insert. */
function expectHistories(lines: readonly Line[]): void {
  const last = new Map<string, Line>();
  for (const line of lines) {
    const name = nameOf(line);
    const before = last.get(name)?._meta;
    const now = must(line._meta, "_meta");
    if (before && before.order >= now.order) throw new Error(`${name}: ${now.order} comes behind ${before.order}`);
    if (before?.op === "d" && (now.op !== "c" || now.snapshot))
      throw new Error(`${name}: ${JSON.stringify(now)} comes behind its delete`);
    last.set(name, line);
  }
}

function fold(lines: readonly Line[]): Map<unknown, unknown> {
  const documents = new Map<unknown, unknown>();
  for (const { _meta, ...document } of lines) {
    if (_meta?.op === "d") documents.delete(document._id);
    else documents.set(document._id, document);
  }
  return documents;
}

test.each([
  ["one file", "out/all.ndjson"],
  ["a folder of files", "out/"],
])(
  "a capture into %s that is killed -9 at any time under load holds each change once, in order, and replays to the collection",
  async (_, target) => {
    const { db, name, uri } = await prepare();
    await using dir = await tempDir();
    await Bun.write(dir.join("out/.keep"), "");
    const state = dir.join("state");
    const args = ["capture", name, "--out", `${dir.path}/${target}`, "--state", state];
    const collection = db.collection<Item>("items");
    const random = randomFor(`kill-capture ${target}`);
    const writer = startWriter(collection, {
      keys: KEYS,
      pauseMs: 2,
      random: randomFor(`kill-capture writer ${target}`),
    });
    const pinned = pinnedToken(state);
    const { kills, ahead } = await killUntilDone({ tap, args, state, longestMs: LONGEST_MS, random }, KILLS);
    await writer.stop();
    expect(kills).toBe(KILLS);
    expect(ahead).toBeGreaterThan(0);
    await tapAt(uri).expect(0, [...args, "--until", "caught-up"]);

    const lines = await linesBelow(dir);
    expectHistories(lines);
    const items = lines.filter(({ _meta }) => _meta?.source.collection === "items");
    const held = await collection.find().toArray();
    expect(fold(items)).toEqual(new Map(held.map((item) => [item._id, item])));
    expect(lines.filter(({ _meta }) => _meta?.source.collection === "aside")).toHaveLength(1_500);

    // Each event since the position was pinned, exactly once, as a tail from there writes them.
    const { stdout } = await tap.expect(0, ["tail", name, "--start-at", await pinned, "--until", "caught-up"]);
    const events = lines.filter(({ _meta }) => _meta?.snapshot === undefined).map(eventOf);
    expect(firstDifference(events, linesOf(stdout).map(eventOf))).toBeUndefined();
    expect(events.length).toBeGreaterThan(KILLS);
  },
  TIME_LIMIT_MS,
);
