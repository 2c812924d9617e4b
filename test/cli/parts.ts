/** Collections to cut into parts, and what one process makes of them. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { KINDS, insertMixed } from "../source/kinds.ts";
import type { CliResult } from "../support/cli.ts";
import { documents } from "../support/documents.ts";
import { testDatabase, type TestDatabase } from "../support/replica-set.ts";
import { tempDir } from "../support/temp.ts";
import { type Tap, tapAt } from "./tap.ts";

/** Of the largest collection. */
export const COUNT = 6_000;
const SHARES = 3;
/** The least that a chunk has: 64 KiB, so that there are many. */
export const SMALL_CHUNKS = ["--max-memory", "1MB"];
/** For the many processes of one test on a busy machine. */
export const SLOW_MS = 60_000;

export interface Whole {
  readonly database: TestDatabase;
  readonly tap: Tap;
  /** The largest collection. */
  readonly orders: string;
  /** Of every collection, as one process writes it: by its name. */
  readonly whole: ReadonlyMap<string, string>;
}

/** A database with collections of every kind. */
export async function prepareWhole(): Promise<Whole> {
  const database = await testDatabase();
  const { db, name, uri } = database;
  const tap = tapAt(uri);
  await db.collection("orders").insertMany([...documents("small", COUNT)]);
  await db.collection("few").insertMany([...documents("small", 2)]);
  await db.createCollection("empty");
  for (const [kind, options] of KINDS) {
    const collection = await db.createCollection(kind, options);
    await insertMixed({ database, collection });
  }
  await db.createCollection("view", { viewOn: "orders", pipeline: [{ $match: { isGift: true } }] });
  await db.createCollection("series", { timeseries: { timeField: "at" } });
  await db.collection("series").insertMany(Array.from({ length: 50 }, (_, i) => ({ at: new Date(i * 1_000), i })));
  await using dir = await tempDir();
  await tap.expect(0, ["backfill", name, `${name}.view`, "--out", dir.join("out/")]);
  const files = await filesIn(dir.join("out"));
  const whole = new Map(files.map(([file, text]) => [file.slice(name.length + 1, -".ndjson".length), text]));
  return { database, tap, orders: `${name}.orders`, whole };
}

/** All files below a folder, in the order of their names. */
export async function filesIn(folder: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = async (path: string): Promise<[string, string]> => [
    path.slice(folder.length).replace(/^\//, ""),
    await readFile(path, "utf8"),
  ];
  return await Promise.all(paths.toSorted().map(read));
}

/** What the parts of each collection are together, in the order of their names; of a file that is no part, itself. */
export async function joinedIn({ name: db }: TestDatabase, folder: string): Promise<Map<string, string>> {
  const joined = new Map<string, string>();
  for (const [file, text] of await filesIn(folder)) {
    const name = file.slice(db.length + 1).replace(/(?:~\d{4})?\.ndjson$/, "");
    joined.set(name, (joined.get(name) ?? "") + text);
  }
  return joined;
}

export function share(index: number, of = SHARES): string[] {
  return ["--shard", `${index}/${of}`];
}

/** Runs all shards at once; each must end with 0. */
export async function allShares(
  tap: Tap,
  argsOf: (index: number) => readonly string[],
  of = SHARES,
): Promise<CliResult[]> {
  const run = (_: unknown, index: number): Promise<CliResult> =>
    tap.expect(0, ["backfill", ...argsOf(index), ...share(index, of)], { timeoutMs: SLOW_MS });
  return await Promise.all(Array.from({ length: of }, run));
}
