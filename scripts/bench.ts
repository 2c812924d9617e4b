/**
 * How fast mongotap is, against the server's own limit and against others, in one run on one machine:
 *
 *   bun scripts/bench.ts [--quick] [--documents N] [--rounds N] [--shapes typical,small] [--check]
 *     [--mongotap BINARY]
 *
 * Starts a replica set of one member, fills it, lets the contestants take turns, and prints medians and ratios. Nothing
 * is left behind.
 */

import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { tempDir } from "../test/support/temp.ts";
import { backfillContestants, BY_ID, DRIVER, MONGOTAP, NATURAL } from "./bench/backfill.ts";
import { loadCollection } from "./bench/load.ts";
import { gatherPrograms } from "./bench/programs.ts";
import { type Scored, takeTurns } from "./bench/rounds.ts";
import { SHAPES } from "./bench/shapes.ts";
import { median, summarize } from "./bench/statistics.ts";
import { startReplicaSet } from "./mongod.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    documents: { type: "string" },
    rounds: { type: "string" },
    shapes: { type: "string", default: "typical" },
    mongotap: { type: "string" },
    check: { type: "boolean", default: false },
  },
});
const documents = Number(values.documents ?? (values.quick ? 50_000 : 1_000_000));
const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
const chosen = values.shapes.split(",");
/** `--check`: so many times as fast as the driver's cursor with EJSON.stringify. */
const TIMES_THE_DRIVER = 5;

function secondsOf(scored: readonly Scored[], name: string): number {
  return median((scored.find((one) => one.name === name)?.runs ?? []).map((run) => run.seconds));
}

function print(title: string, scored: readonly Scored[]): void {
  const own = secondsOf(scored, MONGOTAP);
  console.log(`\n${title}`);
  for (const { name, runs } of scored) {
    const { median: seconds, min, max } = summarize(runs.map((run) => run.seconds));
    const peak = Math.max(...runs.map((run) => run.peakMB));
    console.log(
      `${name.padEnd(28)} ${seconds.toFixed(2).padStart(7)} s (${min.toFixed(2)}–${max.toFixed(2)})` +
        ` ${median(runs.map((run) => run.cpuSeconds))
          .toFixed(2)
          .padStart(7)} s CPU ${peak.toFixed(0).padStart(5)} MB` +
        ` ${(seconds / own).toFixed(2).padStart(7)} × mongotap's time`,
    );
  }
}

await using scratch = await tempDir();
await using set = await startReplicaSet({ members: 1, cacheGB: 4 });
await using client = new MongoClient(set.uri);
const programs = await gatherPrograms(scratch.path, values.mongotap);
for (const shape of SHAPES) {
  if (!chosen.includes(shape.name)) continue;
  const loaded = await loadCollection(client, shape.name, Math.ceil(documents * shape.share), shape.make);
  const course = { uri: set.uri, programs, folder: scratch.path, shape, loaded };
  const contestants = backfillContestants(course);
  await contestants[0]?.run(); // the server has seen it all once
  const scored = await takeTurns(contestants, rounds, (name, round, { seconds }) => {
    console.error(`${shape.name}: round ${round}: ${name}: ${seconds.toFixed(2)} s`);
  });
  print(`${shape.text}: ${loaded.documents} documents, ${(loaded.bytes / 1e6).toFixed(0)} MB of BSON`, scored);
  const own = secondsOf(scored, MONGOTAP);
  console.log(
    `share of the bare drain: ${(secondsOf(scored, BY_ID) / own).toFixed(2)} by _id, ${(secondsOf(scored, NATURAL) / own).toFixed(2)} natural`,
  );
  const times = secondsOf(scored, DRIVER) / own;
  console.log(`times the driver: ${times.toFixed(1)}`);
  if (values.check && times < TIMES_THE_DRIVER) process.exitCode = 1;
  await client.db("bench").dropCollection(shape.name);
}
