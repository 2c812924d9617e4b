/** Debezium's embedded engine as a contestant: a small Java program, built by Maven into a temporary folder. */

import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Collection } from "mongodb";
import type { TestDocument } from "../../test/support/documents.ts";
import { ObjectId } from "mongodb";
import type { Loaded } from "./load.ts";
import { type Outcome, runProcess } from "./process.ts";

export interface Debezium {
  /** Such as `3.6.1.Final`. */
  readonly version: string;
  /** Reads the whole collection into a file. */
  snapshot(uri: string, loaded: Loaded): Promise<Outcome>;
  /** Opens a stream on a collection. The returned function reads the events from there on, each time it is called. */
  openStream(uri: string, collection: Collection<TestDocument>): Promise<(events: number) => Promise<Outcome>>;
}

const SOURCE = join(import.meta.dirname, "debezium");
const PATIENCE_MS = 120_000;
/** A part of every `_id` of `objectIdOf`, and of no marker. */
const COUNTED = "feedc0de5a";

/** Throws if Maven cannot build it. */
export async function buildDebezium(folder: string): Promise<Debezium> {
  const place = join(folder, "debezium");
  await cp(SOURCE, place, { recursive: true });
  const pom = join(place, "pom.xml");
  const goals = ["compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath"];
  await runProcess({ command: ["mvn", "--quiet", "--batch-mode", "--file", pom, ...goals] });
  const classpath = `${join(place, "target/classes")}:${await readFile(join(place, "target/classpath"), "utf8")}`;
  const version = /<debezium\.version>(.*?)</.exec(await readFile(pom, "utf8"))?.[1] ?? "";
  const java = ["java", `-Dcounted=${COUNTED}`, "-cp", classpath, "Bench"];
  return {
    version,
    snapshot: async (uri, { database, collection, documents }) =>
      await run(place, [...java, "snapshot", uri, database, collection, String(documents)]),
    openStream: async (uri, collection) => {
      const command = [...java, "stream", uri, collection.dbName, collection.collectionName];
      const offsets = join(place, "offsets-at-start");
      await findPosition([...command, "1", join(place, "output"), offsets], collection);
      return async (events) => await run(place, [...command, String(events)], offsets);
    },
  };
}

/** Each run begins with the offsets given, or with none, and keeps its own. */
async function run(place: string, command: readonly string[], offsets?: string): Promise<Outcome> {
  const work = join(place, "run");
  await mkdir(work);
  try {
    const file = join(work, "output");
    const own = join(work, "offsets");
    if (offsets !== undefined) await cp(offsets, own);
    const finished = await runProcess({ command: [...command, file, own] });
    // Without its start of several seconds, which measures Java.
    const seconds = Number(finished.stdout.trim().split(" ")[1]);
    return { finished: { ...finished, seconds }, bytes: Bun.file(file).size };
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Runs until it has seen one event, and so has a position in the stream. It does not report when the stream is open. */
async function findPosition(command: readonly string[], collection: Collection<TestDocument>): Promise<void> {
  const child = Bun.spawn(
    command.map((word) => (word.startsWith("-Dcounted=") ? "-Dcounted=" : word)),
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  const deadline = performance.now() + PATIENCE_MS;
  while (child.exitCode === null) {
    if (performance.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error("Debezium opened no stream");
    }
    await collection.insertOne({ _id: new ObjectId() });
    await Bun.sleep(500);
  }
  if (child.exitCode !== 0) throw new Error(`Debezium ended with ${child.exitCode}`);
  await collection.deleteMany({});
}
