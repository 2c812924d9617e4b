import { beforeAll, describe, expect, test } from "bun:test";
import type { MongoClient } from "mongodb";
import { BSON } from "../../src/codec/bson.ts";
import { runCommand } from "../../src/connect/run-command.ts";
import { arrayElement, document, documentElement, element, elementsOf, rawValue } from "../../src/source/raw-bson.ts";
import type { RawValue } from "../codec/raw-bson.ts";
import { KINDS } from "../source/kinds.ts";
import { changedByJavaScript, insertIds } from "../source/raw-ids.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { allShares, filesIn, SLOW_MS, SMALL_CHUNKS } from "./parts.ts";
import { type Line, linesIn, linesOf, type Tap, tapAt } from "./tap.ts";

/** More than a chunk of each. */
const EACH = 1_200;
const IDS = Object.values(changedByJavaScript).flatMap((make) => Array.from({ length: EACH }, (_, n) => make(n)));
const COLLECTIONS = KINDS.filter(([kind]) => kind !== "capped");

let database: TestDatabase;
let tap: Tap;

beforeAll(async () => {
  database = await testDatabase();
  tap = tapAt(database.uri);
  for (const [kind, options] of COLLECTIONS) {
    await database.db.createCollection(kind, options);
    expect(await insertIds(database.client, database.name, kind, IDS)).toBe(IDS.length);
  }
});

/** Each document has its number. */
function expectEachOnce(lines: readonly Line[]): void {
  expect(lines).toHaveLength(IDS.length);
  expect(new Set(lines.map(({ n }) => n)).size).toBe(IDS.length);
}

async function linesBelow(folder: string): Promise<Line[]> {
  return (await filesIn(folder)).flatMap(([, text]) => linesOf(text));
}

describe.each(COLLECTIONS)("_ids that no driver gives back as they are, in a %s collection", (kind) => {
  const argsFor = (): string[] => ["backfill", `${database.name}.${kind}`, ...SMALL_CHUNKS];

  test.each([[[]], [["--on-bad-document", "skip"]], [["--workers", "3"]]])(
    "are copied, each once, with %p",
    async (options) => {
      const { stdout } = await tap.expect(0, [...argsFor(), ...options]);
      expectEachOnce(linesOf(stdout));
    },
    SLOW_MS,
  );

  test(
    "are split into files, and shared among processes, each in one of them",
    async () => {
      await using dir = await tempDir();
      await tap.expect(0, [...argsFor(), "--split", "--out", dir.join("split/")]);
      expect((await filesIn(dir.join("split"))).length).toBeGreaterThan(3);
      expectEachOnce(await linesBelow(dir.join("split")));
      const args = [`${database.name}.${kind}`, "--ranges", dir.join("ranges")];
      await allShares(tap, (index) => [...args, "--out", dir.join(`shares/${index}/`)]);
      expectEachOnce(await linesBelow(dir.join("shares")));
    },
    SLOW_MS,
  );

  test(
    "are a place to go on from",
    async () => {
      await using dir = await tempDir();
      const args = [...argsFor(), "--out", dir.join("out"), "--state", dir.join("state")];
      for (let i = 0; i < 4; i += 1) await tap.expect(12, [...args, "--limit", String(EACH * 2 + 7)]);
      await tap.expect(0, args);
      expectEachOnce(await linesIn(dir.join("out")));
    },
    SLOW_MS,
  );

  test(
    "are what the documents of updates are looked up by",
    async () => {
      await using dir = await tempDir();
      const name = `updated-${kind}`;
      const ids = IDS.filter((_, i) => i % 12 === 0);
      const options = COLLECTIONS.find(([of]) => of === kind)?.[1];
      await database.db.createCollection(name, options);
      await insertIds(database.client, database.name, name, ids);
      const args = ["capture", `${database.name}.${name}`, "--until", "caught-up"];
      const files = ["--out", dir.join("out"), "--state", dir.join("state")];
      await tap.expect(0, [...args, ...files]);
      for (const v of [1, 2]) expect(await setEach(database.client, name, ids, v)).toBe(ids.length);
      const { stderr } = await tap.expect(0, [...args, ...files]);
      expect(stderr).not.toContain("may show a newer");
      const lines = await linesIn(dir.join("out"));
      const updates = lines.filter(({ _meta }) => _meta?.op === "u");
      expect(updates.map(({ v }) => v).toSorted((a, b) => Number(a) - Number(b))).toEqual(
        [1, 2].flatMap((v) => ids.map(() => v)),
      );
      expect(new Set(updates.map(({ n }) => n)).size).toBe(ids.length);
      expect(updates.filter(({ _meta }) => _meta?.missing !== undefined)).toEqual([]);
    },
    SLOW_MS,
  );
});

/** Sets `v` of each document; resolves to the number of documents that were changed. */
async function setEach(client: MongoClient, collection: string, ids: readonly RawValue[], v: number): Promise<number> {
  const updates = ids.map(({ type, body }) => {
    const query = documentElement("q", element("_id", rawValue(type, body)));
    return rawValue(BSON.document, document(query, elementsOf({ u: { $set: { v } } })));
  });
  const command = { update: collection, writeConcern: { w: "majority" } };
  const reply = await runCommand(client, database.name, command, { rawFields: arrayElement("updates", updates) });
  return Number(reply["nModified"]);
}
