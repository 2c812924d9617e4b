/**
 * Update events without images: mongotap, which shows each document as of its own event, against the bare drain of the
 * stream, with the server's look-up of the current document and without any.
 */

import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { AnyBulkWriteOperation, MongoClient, ObjectId } from "mongodb";
import { must } from "../../src/errors.ts";
import { randomOf, typicalDocument } from "../../test/support/documents.ts";
import { drain, mongotapCommand } from "./backfill.ts";
import { type Loaded, loadCollection } from "./load.ts";
import { MONGOTAP, STREAM, STREAM_WITH_LOOKUP } from "./names.ts";
import { type Outcome, runProcess } from "./process.ts";
import type { Race } from "./results.ts";
import { takeTurns } from "./rounds.ts";
import { nextSecond } from "./tail.ts";
import type { BenchContext } from "./context.ts";

/** A document gets three updates on average. */
const UPDATES_PER_DOCUMENT = 3;
const BATCH = 2_000;
const COLLECTION = "updates";
const SEED = 7;

interface Spread {
  readonly id: string;
  readonly title: string;
  /** The share of the updates that go to one document. */
  readonly ofOne: number;
}

const SPREADS: readonly Spread[] = [
  { id: "updates", title: "update events, spread evenly over all documents", ofOne: 0 },
  { id: "updates-hot", title: "update events, 20 % of them of one document", ofOne: 0.2 },
];

export async function measureUpdates(context: BenchContext): Promise<Race[]> {
  const races: Race[] = [];
  for (const spread of SPREADS) races.push(await measureSpread(context, spread));
  return races;
}

async function measureSpread(context: BenchContext, { id, title, ofOne }: Spread): Promise<Race> {
  const { client, events, folder, programs, uri } = context;
  context.log(`${id}: loading`);
  const loaded = await loadCollection(client, COLLECTION, Math.ceil(events / UPDATES_PER_DOCUMENT), typicalDocument);
  await nextSecond(); // behind the inserts
  const seconds = await nextSecond();
  await update(client, loaded, events, ofOne);
  const { database, collection } = loaded;
  const file = join(folder, "output");
  const reference = (work: string): string[] => [programs.client, work, uri, database, collection, String(seconds)];
  const tail = [...mongotapCommand(context, "tail", loaded), "--start-at", String(seconds), "--until", "caught-up"];
  let exact = 0;
  const mongotap = async (): Promise<Outcome> => {
    const finished = await runProcess({ command: [...tail, "--out", file] });
    const text = readFileSync(file, "latin1");
    await rm(file);
    exact = exactLines(text, events);
    return { finished, bytes: text.length };
  };
  const contestants = [
    { name: STREAM, run: () => drain([...reference("drain-stream"), String(events)], events) },
    { name: STREAM_WITH_LOOKUP, run: () => drain([...reference("drain-lookup"), String(events)], events) },
    { name: MONGOTAP, run: mongotap },
  ];
  await contestants[0]?.run();
  const rows = await takeTurns(context, id, contestants);
  await client.db(database).dropCollection(collection);
  const share = ((exact / events) * 100).toFixed(exact === events ? 0 : 2);
  const remark = `${share} % of mongotap's lines show exactly the version of their event.`;
  context.log(`${id}: ${remark}`);
  const bytes = Math.round((loaded.bytes / loaded.documents) * events);
  return { kind: "race", id, title, documents: events, bytes, rows, absent: [], remark };
}

/** The number of updates of a document is its `version`, so each version can be told from all others. */
async function update(client: MongoClient, loaded: Loaded, events: number, ofOne: number): Promise<void> {
  const target = client.db(loaded.database).collection<{ _id: ObjectId }>(loaded.collection);
  const ids = (await target.find({}, { projection: { _id: 1 } }).toArray()).map(({ _id }) => _id);
  const random = randomOf(SEED);
  const hot = must(ids[0], "a document");
  for (let done = 0; done < events; done += BATCH) {
    const batch = Array.from(
      { length: Math.min(BATCH, events - done) },
      (_, i): AnyBulkWriteOperation<{ _id: ObjectId }> => {
        const _id = random() < ofOne ? hot : must(ids[Math.floor(random() * ids.length)], "a document");
        return {
          updateOne: { filter: { _id }, update: { $inc: { version: 1 }, $set: { status: `status ${done + i}` } } },
        };
      },
    );
    await target.bulkWrite(batch, { ordered: true });
  }
}

/**
 * How many lines show the version of their event: the first of a document its version 1, and so on. `text` is Latin-1.
 * @throws Error unless there are `events` lines
 */
export function exactLines(text: string, events: number): number {
  const versions = new Map<string, number>();
  let lines = 0;
  let exact = 0;
  for (let begin = 0; begin < text.length; lines += 1) {
    const end = text.indexOf("\n", begin);
    if (end < 0) throw new Error("the last line is not complete");
    const line = text.slice(begin, end);
    begin = end + 1;
    const [, id = ""] = /^\{"_id":\{"\$oid":"(\w+)"\}/.exec(line) ?? [];
    const version = (versions.get(id) ?? 0) + 1;
    versions.set(id, version);
    if (line.includes(`"version":${version},`) && !/"(?:exact|missing)":/.test(line)) exact += 1;
  }
  if (lines !== events) throw new Error(`${lines} lines, not ${events}`);
  return exact;
}
