/** Fault C19 of docs/reliability.md: kill -9 while collections of a database end and begin again. */
import { expect, test } from "bun:test";
import type { Db, Document, Timestamp } from "mongodb";
import type { Random } from "../../scripts/lib/random.ts";
import { clusterTime } from "../../src/source/record.ts";
import { type Line, tapAt } from "../cli/tap.ts";
import { randomFor } from "../support/random.ts";
import { killUntilDone } from "./kill.ts";
import { endsOf, expectTrue, insert, type Numbered, out, sorted, TEMPORARY } from "./support/ends.ts";
import { ownReplicaSet } from "./support/own-set.ts";
import { CAUGHT_UP, trialOf } from "./support/trial.ts";

const TIME_LIMIT_MS = 240_000;
const KILLS = 20;
const LONGEST_MS = 700;
const NAMES = ["a", "b", "c"] as const;
const KEYS = 60;

const { set, client } = await ownReplicaSet("kill");

/** One change of a collection, or of all. */
type Change = (db: Db, name: string, other: string, random: Random) => Promise<unknown>;

const insertSome: Change = (db, name, _, random) => {
  const documents = Array.from({ length: 20 }, () => ({ _id: random.whole(KEYS), v: 0 }));
  return db.collection<Numbered>(name).insertMany(documents, { ordered: false });
};

const updateSome: Change = (db, name, _, random) =>
  db.collection<Numbered>(name).updateMany({ _id: { $lt: random.whole(KEYS) } }, { $inc: { v: 1 } });

const far = (db: Db): string => `${db.databaseName}_far.m`;

async function renameAcross(from: string, to: string): Promise<void> {
  await client.db("admin").command({ renameCollection: from, to, dropTarget: true });
}

const CHANGES: readonly Change[] = [
  insertSome,
  insertSome,
  updateSome,
  updateSome,
  (db, name, _, random) => db.collection<Numbered>(name).deleteMany({ _id: { $lt: random.whole(KEYS) } }),
  (db, name) => db.collection(name).drop(),
  (db, name, other) => db.collection(name).rename(other, { dropTarget: true }),
  (db, name, other) => out(db, name, other),
  (db, name) => renameAcross(`${db.databaseName}.${name}`, far(db)),
  (db, name) => renameAcross(far(db), `${db.databaseName}.${name}`),
  async (db, _, __, random) => {
    if (random.next() < 0.2) await db.dropDatabase();
  },
];

/** Changes until `signal` aborts. What the server refuses, as a rename of what does not exist, is no change. */
async function changeUntil(signal: AbortSignal, db: Db, random: Random): Promise<void> {
  while (!signal.aborted) {
    const [name, other] = [random.pick(NAMES), random.pick(NAMES)];
    await random
      .pick(CHANGES)(db, name, other, random)
      .catch(() => undefined);
  }
}

/** What the oplog says of ends behind `from`, as `endsOf` does of lines. */
async function endsInOplog(db: Db, from: string): Promise<string[]> {
  const found = client
    .db("local")
    .collection("oplog.rs")
    .find({ op: "c", ns: `${db.databaseName}.$cmd` });
  const ends: string[] = [];
  for await (const { ts, o } of found) {
    const { t, i } = ts as Timestamp;
    if (clusterTime(t, i) > from) ends.push(...endsOfCommand(db, o as Document));
  }
  return ends;
}

function endsOfCommand(db: Db, { drop, renameCollection, to }: Document): string[] {
  if (typeof drop === "string") return TEMPORARY.test(drop) ? [] : [`${drop} dropped`];
  if (typeof renameCollection !== "string") return [];
  const [from, name] = [renameCollection, String(to)].map((text) => text.slice(db.databaseName.length + 1));
  return [...(TEMPORARY.test(String(from)) ? [] : [`${from} renamed`]), `${name} replaced`];
}

function isRepeated(lines: readonly Line[]): boolean {
  const ends = lines.filter(({ _meta }) => _meta?.op === "t");
  return new Set(ends.map(({ _meta }) => `${_meta?.order} ${_meta?.source.collection}`)).size < ends.length;
}

test(
  "C19 kill -9 amid ends and copies: each end that the oplog has is one line, and the output is what the database holds",
  async () => {
    const random = randomFor("kill amid ends");
    const db = client.db("ending");
    for (const name of NAMES) await insert(db, name, [1, 2, 3], 0);
    await using trial = await trialOf(set.uri, ["capture", db.databaseName]);
    await trial.expect(0, CAUGHT_UP);
    const pinned = (await trial.saved()).position.stream?.time ?? "";
    const stop = new AbortController();
    const changes = changeUntil(stop.signal, db, random);
    const { args, state } = trial;
    const deaths = await killUntilDone(
      { tap: tapAt(set.uri), args, state, longestMs: LONGEST_MS, random },
      KILLS,
    ).finally(() => stop.abort());
    await changes;
    expect(deaths.kills).toBe(KILLS);
    expect(deaths.ahead).toBeGreaterThan(0);
    await trial.expect(0, CAUGHT_UP);
    const lines = await expectTrue(trial, [db]);
    expect(isRepeated(lines)).toBe(false);
    const ends = endsOf(lines);
    expect(ends.length).toBeGreaterThan(KILLS);
    expect(sorted(ends)).toEqual(sorted(await endsInOplog(db, pinned)));
  },
  TIME_LIMIT_MS,
);
