/**
 * Measures mongotap against the limit of the server and against other programs, in one run on one machine. Starts a replica
 * set of one member, fills it, runs the contestants in turn, prints medians and ratios, and saves them as JSON.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeDocs } from "./bench/docs.ts";
import { goalsOf } from "./bench/goals.ts";
import { machineOf } from "./bench/machine.ts";
import { DEBEZIUM, DRIVER, MONGOTAP } from "./bench/names.ts";
import { raceOf, timesOf } from "./bench/ratio.ts";
import { type Group, loadResults, type Results, saveSection, type Section } from "./bench/results.ts";
import { SECTIONS } from "./bench/sections.ts";
import { SHAPES } from "./bench/shapes.ts";
import { tableOf, toText } from "./bench/table.ts";
import { openContext, type ContextOptions } from "./bench/context.ts";

const ROOT = join(import.meta.dirname, "..");
/** `--check`: how many times as fast as the driver's cursor with EJSON.stringify mongotap must be. */
const TIMES_THE_DRIVER = 5;

const USAGE = `Measures mongotap against the bare drain of the server's replies, the driver, mongodump and mongoexport.

  --only LIST        some of ${Object.keys(SECTIONS).join(", ")}; default: all
  --shapes LIST      some of ${SHAPES.map(({ name }) => name).join(", ")}; default: all
  --quick            small sizes: a look, not a measurement
  --documents N      in the typical collection, default 1000000; the others follow
  --events N         of the tail, default 300000
  --rounds N         default 5
  --growth LIST      sizes of the growing collection, default 10000,100000,1000000
  --latency-for N    seconds of steady writes in each round, default 10
  --cache GB         of the server, default 4
  --without LIST     leave out the contestants whose names begin so, such as "Debezium embedded"
  --mongotap FILE    measure this binary instead of one built of this source
  --results FILE     keep the results here, one line for each subject, default .cache/bench/results.ndjson
  --check            end with 1 unless a backfill is ${TIMES_THE_DRIVER} times as fast as the driver with EJSON.stringify
  --write-docs       measure nothing: write docs/benchmarks.md of --results, default docs/benchmarks/results.ndjson

MONGODUMP and MONGOEXPORT name those programs where they are not on PATH. Debezium's embedded engine is built by mvn, if
there are java and mvn. What is not there is left out.
`;

const OPTIONS = {
  only: { type: "string" },
  shapes: { type: "string" },
  quick: { type: "boolean", default: false },
  documents: { type: "string" },
  events: { type: "string" },
  rounds: { type: "string" },
  growth: { type: "string" },
  "latency-for": { type: "string" },
  cache: { type: "string", default: "4" },
  mongotap: { type: "string" },
  without: { type: "string" },
  results: { type: "string" },
  check: { type: "boolean", default: false },
  "write-docs": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

const FULL = { documents: 1_000_000, events: 300_000, rounds: 5, latencySeconds: 10, growth: [1e4, 1e5, 1e6] };
const QUICK = { documents: 50_000, events: 20_000, rounds: 3, latencySeconds: 3, growth: [1e4, 1e5] };

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

function contextOptions(values: Values): ContextOptions {
  const sizes = values.quick ? QUICK : FULL;
  const known = SHAPES.map(({ name }) => name);
  const growth = values.growth?.split(",").map((size) => wholeNumber("growth", size)) ?? sizes.growth;
  const without = values.without?.split(",") ?? [];
  return {
    documents: wholeNumber("documents", values.documents, sizes.documents),
    events: wholeNumber("events", values.events, sizes.events),
    rounds: wholeNumber("rounds", values.rounds, sizes.rounds),
    latencySeconds: wholeNumber("latency-for", values["latency-for"], sizes.latencySeconds),
    growth: growth.toSorted((a, b) => a - b),
    shapes: listOf("shapes", values.shapes, known),
    cacheGB: wholeNumber("cache", values.cache),
    mongotap: values.mongotap,
    without,
    withDebezium: !values.quick && !without.includes(DEBEZIUM),
  };
}

function wholeNumber(option: string, text: string | undefined, fallback?: number): number {
  const number = text === undefined ? fallback : Number(text);
  if (number === undefined || !Number.isSafeInteger(number) || number < 1) {
    throw new Error(`--${option} takes a whole number`);
  }
  return number;
}

function listOf(option: string, text: string | undefined, known: readonly string[]): readonly string[] {
  const chosen = text?.split(",") ?? known;
  const unknown = chosen.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--${option} takes some of ${known.join(", ")}, not ${unknown}`);
  return chosen;
}

function printGroup(group: Group): void {
  const size =
    group.kind !== "race" || group.documents === 0
      ? ""
      : `, ${group.documents.toLocaleString("en-US")} documents, ${(group.bytes / 1e6).toFixed(0)} MB of BSON`;
  console.log(`\n${group.title}${size}\n${toText(tableOf(group))}`);
  if (group.kind === "race") for (const reason of group.absent) console.log(`not measured: ${reason}`);
  if (group.kind === "race" && group.remark !== undefined) console.log(group.remark);
}

function printGoals(results: Results): void {
  const rows = goalsOf(results)
    .filter(({ measured }) => measured !== undefined)
    .map(({ figure, goal, measured = "", isMet }) => [figure, goal, measured, isMet ? "met" : "not met"]);
  if (rows.length > 0) console.log(`\n${toText({ head: ["figure", "goal", "measured", ""], rows })}`);
}

/** Whether a backfill is fast enough for `--check`. */
function isFastEnough(results: Results): boolean {
  const times = timesOf(raceOf(results, "typical"), DRIVER, MONGOTAP);
  if (times === undefined) throw new Error("--check needs the backfill of typical documents");
  console.log(`\nmongotap is ${times.toFixed(1)} times as fast as the driver with EJSON.stringify`);
  return times >= TIMES_THE_DRIVER;
}

/** The command line that repeats the measurement, without the paths of this machine. */
function commandLine(values: Values): string {
  const kept = ["only", "shapes", "documents", "events", "rounds", "growth", "latency-for"] as const;
  const given = kept.flatMap((name) => (values[name] === undefined ? [] : [`--${name} ${values[name]}`]));
  return ["bun scripts/bench.ts", ...(values.quick ? ["--quick"] : []), ...given].join(" ");
}

interface Job {
  readonly context: ContextOptions;
  readonly sections: readonly string[];
  readonly command: string;
}

function jobOf(values: Values): Job {
  const sections = listOf("only", values.only, Object.keys(SECTIONS));
  return { context: contextOptions(values), sections, command: commandLine(values) };
}

async function measure({ context: options, sections, command }: Job, path: string): Promise<Results> {
  const measured: Record<string, Section> = {};
  await using context = await openContext(options);
  const machine = machineOf(context);
  for (const name of sections) {
    const groups = (await SECTIONS[name]?.(context)) ?? [];
    for (const group of groups) printGroup(group);
    const section = { groups, machine, rounds: context.rounds, command };
    saveSection(path, name, section);
    measured[name] = section;
  }
  return measured;
}

/** Throws an error with one line for the user. */
function read(args: readonly string[]): { readonly values: Values; readonly job: Job } {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  return { values, job: jobOf(values) };
}

async function main(args: readonly string[]): Promise<number> {
  let given: ReturnType<typeof read>;
  try {
    given = read(args);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }
  const { values, job } = given;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values["write-docs"]) {
    writeDocs(join(ROOT, "docs"), loadResults(values.results ?? join(ROOT, "docs/benchmarks/results.ndjson")));
    return 0;
  }
  const results = await measure(job, values.results ?? join(ROOT, ".cache/bench/results.ndjson"));
  printGoals(results);
  return values.check && !isFastEnough(results) ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
