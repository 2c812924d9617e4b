/** Insert events from a start time: mongotap against the bare drain of the change stream, the driver's and Debezium. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { typicalDocument } from "../../test/support/documents.ts";
import { drain, mongotapCommand, writeFile } from "./backfill.ts";
import { loadCollection } from "./load.ts";
import { DEBEZIUM, DRIVER, MONGOTAP, STREAM } from "./names.ts";
import { LineChecker } from "./output.ts";
import type { Outcome } from "./process.ts";
import type { Race } from "./results.ts";
import { type Contestant, takeTurns } from "./rounds.ts";
import type { BenchContext } from "./context.ts";

const COLLECTION = "events";

export async function measureTail(context: BenchContext): Promise<Race[]> {
  const { client, events, folder, programs, uri } = context;
  context.log("tail: loading");
  const debezium = await programs.debezium?.openStream(context.uri, client.db("bench").collection(COLLECTION));
  const seconds = await nextSecond();
  const loaded = await loadCollection(client, COLLECTION, events, typicalDocument);
  const { database, collection, documents, bytes } = loaded;
  const file = join(folder, "output");
  const span = [String(seconds), String(events)];
  const reference = (work: string): string[] => [programs.client, work, uri, database, collection, ...span, file];
  const tail = [...mongotapCommand(context, "tail", loaded), "--start-at", String(seconds), "--until", "caught-up"];
  const checker = new LineChecker({ documents: events, make: typicalDocument });
  const contestants: Contestant[] = [
    { name: STREAM, run: () => drain(reference("drain-stream"), events) },
    { name: MONGOTAP, run: () => writeFile([...tail, "--out", file], file, checker) },
    { name: DRIVER, run: () => ofDriver(reference("driver-stream"), file, events) },
  ];
  if (debezium) contestants.push({ name: DEBEZIUM, run: () => debezium(events) });
  await contestants[0]?.run();
  const rows = await takeTurns(context, "tail", contestants);
  await client.db(database).dropCollection(collection);
  const title = "insert events of typical documents, from a start time until caught up";
  return [{ kind: "race", id: "tail", title, documents, bytes, rows, absent: [] }];
}

/** Resolves with a second that has just begun and has no writes yet. */
export async function nextSecond(): Promise<number> {
  const seconds = Math.floor(Date.now() / 1000) + 1;
  await sleep(seconds * 1000 - Date.now() + 5);
  return seconds;
}

/** The driver's events are not bare documents: only their number is checked. */
async function ofDriver(command: readonly string[], file: string, events: number): Promise<Outcome> {
  const outcome = await drain(command, events);
  const { size } = Bun.file(file);
  await rm(file);
  return { ...outcome, bytes: size };
}
