/** Backfill of one collection, shape by shape: mongotap against the bare drain, the driver, mongodump and mongoexport. */

import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Loaded } from "./load.ts";
import { countBson, type Examined, examineLines } from "./output.ts";
import { withReader } from "./pipe.ts";
import { type Finished, runProcess } from "./process.ts";
import type { Programs } from "./programs.ts";
import type { Contestant, Measured } from "./rounds.ts";
import type { Shape } from "./shapes.ts";

export const BY_ID = "bare drain, by _id";
export const NATURAL = "bare drain, natural order";
export const MONGOTAP = "mongotap";
export const DRIVER = "driver + EJSON.stringify";

export interface Course {
  readonly uri: string;
  readonly programs: Programs;
  /** For output files, which are removed after each run. */
  readonly folder: string;
  readonly shape: Shape;
  readonly loaded: Loaded;
}

export function backfillContestants(course: Course): Contestant[] {
  const { uri, programs, folder, loaded } = course;
  const [database = "", collection = ""] = loaded.namespace.split(".");
  const file = join(folder, "output");
  const toFile = new LineChecker(course);
  const client = (work: string): string[] => [programs.client, work, uri, database, collection, file];
  const mongotap = [programs.mongotap, "backfill", loaded.namespace, "--uri", uri, "--log-level", "error"];
  const contestants: Contestant[] = [
    { name: BY_ID, run: async () => await drained(client("drain-by-id"), loaded) },
    { name: NATURAL, run: async () => await drained(client("drain"), loaded) },
    { name: MONGOTAP, run: async () => await toFile.run([...mongotap, "--out", file], file) },
    { name: `${MONGOTAP}, to a pipe`, run: async () => await piped(mongotap, folder, loaded.documents) },
    { name: DRIVER, run: async () => await new LineChecker(course).run(client("driver"), file) },
  ];
  const tool = (program: string, more: readonly string[]): string[] => [
    program,
    `--uri=${uri}`,
    `--db=${database}`,
    `--collection=${collection}`,
    "--quiet",
    ...more,
  ];
  const { mongodump, mongoexport } = programs;
  if (mongodump !== undefined) {
    const command = tool(mongodump, [`--out=${folder}`]);
    const dump = join(folder, database, `${collection}.bson`);
    contestants.push({ name: "mongodump", run: async () => await dumped(command, dump, loaded) });
  }
  if (mongoexport !== undefined) {
    const command = tool(mongoexport, [`--out=${file}`]);
    contestants.push({ name: "mongoexport", run: async () => await new LineChecker(course).run(command, file) });
  }
  return contestants;
}

async function drained(command: readonly string[], { documents }: Loaded): Promise<Measured> {
  const finished = await runProcess({ command });
  if (finished.stdout !== `${documents}\n`) throw new Error(`${finished.stdout.trim()} documents, not ${documents}`);
  return measured(finished, documents, 0);
}

async function dumped(command: readonly string[], dump: string, { documents }: Loaded): Promise<Measured> {
  const finished = await runProcess({ command });
  const { size } = await stat(dump);
  const count = countBson(dump, size);
  await rm(dump);
  if (count !== documents) throw new Error(`${count} documents, not ${documents}`);
  return measured(finished, documents, size);
}

async function piped(command: readonly string[], folder: string, documents: number): Promise<Measured> {
  const { finished, lines, bytes } = await withReader(folder, (stdout) => runProcess({ command, stdout }));
  if (lines !== documents) throw new Error(`${lines} lines in the pipe, not ${documents}`);
  return measured(finished, documents, bytes);
}

/** Runs what writes lines into a file, and examines the file; all runs must write the same lines. */
class LineChecker {
  readonly #course: Course;
  #first: Examined | undefined;

  constructor(course: Course) {
    this.#course = course;
  }

  async run(command: readonly string[], file: string): Promise<Measured> {
    const { loaded, shape } = this.#course;
    const finished = await runProcess({ command });
    const examined = examineLines(file, { documents: loaded.documents, make: shape.make });
    await rm(file);
    this.#first ??= examined;
    if (examined.digest !== this.#first.digest) throw new Error("two runs have written different lines");
    return measured(finished, loaded.documents, examined.bytes);
  }
}

export function measured(finished: Finished, documents: number, bytes: number): Measured {
  const { seconds, cpuSeconds, peakMB } = finished;
  return { seconds, cpuSeconds, peakMB, documents, bytes };
}
