/** Backfill of one collection, shape by shape: mongotap against the bare drain, the driver, mongodump and mongoexport. */

import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BY_ID, DEBEZIUM, DRIVER, EXPORT, DUMP, FROM_SOURCE, MONGOTAP, NATURAL, TO_PIPE } from "./names.ts";
import { type Loaded, loadCollection } from "./load.ts";
import { countBson, LineChecker } from "./output.ts";
import { withReader } from "./pipe.ts";
import { type Outcome, runProcess } from "./process.ts";
import { absentFrom } from "./programs.ts";
import type { Race } from "./results.ts";
import { type Contestant, takeTurns } from "./rounds.ts";
import { SHAPES, type Shape } from "./shapes.ts";
import type { BenchContext } from "./context.ts";

/**
 * A virtual machine may return the memory of a deleted file to its host after about two seconds, and gets it back at a much
 * higher cost. A rest before each run makes every contestant pay it, not only those that did not follow a deletion.
 */
const REST_MS = 3_000;

/** Of typical documents: with all contestants, and where the server keeps up, with many documents. */
export function measureBackfill(context: BenchContext): Promise<Race[]> {
  return race(context, ({ name }) => name === "typical");
}

/** All other shapes. */
export function measureShapes(context: BenchContext): Promise<Race[]> {
  return race(context, ({ name }) => name !== "typical");
}

async function race(context: BenchContext, isMeant: (shape: Shape) => boolean): Promise<Race[]> {
  const races: Race[] = [];
  for (const shape of SHAPES.filter(isMeant)) {
    if (!context.shapes.includes(shape.name)) continue;
    context.log(`${shape.name}: loading`);
    const loaded = await loadCollection(
      context.client,
      shape.name,
      Math.ceil(context.documents * shape.share),
      shape.make,
    );
    const contestants = contestantsFor(context, shape, loaded);
    await contestants[0]?.run(); // so that the cache of the server is warm
    const rows = await takeTurns(context, shape.name, contestants, { restMs: REST_MS });
    await context.client.db(loaded.database).dropCollection(loaded.collection);
    const { documents, bytes } = loaded;
    races.push({
      kind: "race",
      id: shape.name,
      title: shape.text,
      documents,
      bytes,
      rows,
      absent: absentFrom(context.programs),
    });
  }
  return races;
}

function contestantsFor(context: BenchContext, shape: Shape, loaded: Loaded): Contestant[] {
  const { programs, folder } = context;
  const { database, collection, documents } = loaded;
  const file = join(folder, "output");
  const client = (work: string): string[] => [programs.client, work, context.uri, database, collection, file];
  const mongotap = mongotapCommand(context, "backfill", loaded);
  const check = (): LineChecker => new LineChecker({ documents, make: shape.make });
  const own = check();
  const contestants: Contestant[] = [
    { name: BY_ID, run: () => drain(client("drain-by-id"), documents) },
    { name: NATURAL, run: () => drain(client("drain"), documents) },
    { name: MONGOTAP, run: () => writeFile([...mongotap, "--out", file], file, own) },
    { name: TO_PIPE, run: () => writePipe(mongotap, folder, documents) },
    { name: DRIVER, run: ofChecker(check(), file, client("driver")) },
  ];
  if (shape.name === "typical" && programs.source !== undefined) {
    const command = [...programs.source, ...mongotap.slice(1), "--out", file];
    contestants.push({ name: FROM_SOURCE, run: ofChecker(own, file, command) });
  }
  const of = ["--quiet", `--uri=${context.uri}`, `--db=${database}`, `--collection=${collection}`];
  const tool = (program: string, out: string): string[] => [program, ...of, `--out=${out}`];
  const { mongodump, mongoexport, debezium } = programs;
  const dumped = join(folder, database, `${collection}.bson`);
  if (mongodump) contestants.push({ name: DUMP, run: () => dump(tool(mongodump, folder), dumped, documents) });
  if (mongoexport) contestants.push({ name: EXPORT, run: ofChecker(check(), file, tool(mongoexport, file)) });
  if (debezium && shape.name === "typical") {
    contestants.push({ name: DEBEZIUM, run: () => debezium.snapshot(context.uri, loaded) });
  }
  return contestants;
}

/** A command line of mongotap that logs only errors. */
export function mongotapCommand(context: BenchContext, command: string, { database, collection }: Loaded): string[] {
  const { mongotap } = context.programs;
  return [mongotap, command, `${database}.${collection}`, "--uri", context.uri, "--log-level", "error"];
}

function ofChecker(checker: LineChecker, file: string, command: readonly string[]): () => Promise<Outcome> {
  return () => writeFile(command, file, checker);
}

/** For a contestant that discards documents and prints their number. */
export async function drain(command: readonly string[], documents: number): Promise<Outcome> {
  const finished = await runProcess({ command });
  if (finished.stdout !== `${documents}\n`) throw new Error(`${finished.stdout.trim()} documents, not ${documents}`);
  return { finished, bytes: 0 };
}

/** For a contestant that writes lines into `file`. */
export async function writeFile(command: readonly string[], file: string, checker: LineChecker): Promise<Outcome> {
  const finished = await runProcess({ command });
  const bytes = checker.check(file);
  await rm(file);
  return { finished, bytes };
}

async function writePipe(command: readonly string[], folder: string, documents: number): Promise<Outcome> {
  const { result: finished, lines, bytes } = await withReader(folder, (stdout) => runProcess({ command, stdout }));
  if (lines !== documents) throw new Error(`${lines} lines in the pipe, not ${documents}`);
  return { finished, bytes };
}

async function dump(command: readonly string[], file: string, documents: number): Promise<Outcome> {
  const finished = await runProcess({ command });
  const { size } = await stat(file);
  const count = countBson(file, size);
  await rm(file);
  if (count !== documents) throw new Error(`${count} documents, not ${documents}`);
  return { finished, bytes: size };
}
