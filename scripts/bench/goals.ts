/** The goals as numbers, and what was measured. */

import { ALMOST_NONE } from "./growth.ts";
import {
  AIRBYTE,
  BACKFILL,
  BY_ID,
  CAPTURE,
  DEBEZIUM,
  DUMP,
  EXPORT,
  MONGOTAP,
  STREAM,
  STREAM_WITH_LOOKUP,
} from "./names.ts";
import { raceOf, secondsOf, timesOf } from "./ratio.ts";
import type { Latency, Memory, Race, Results } from "./results.ts";
import { median, summarize } from "./statistics.ts";
import { halves } from "./table.ts";

export interface Goal {
  readonly figure: string;
  readonly goal: string;
  /** Undefined if it has not been measured. */
  readonly measured: string | undefined;
  readonly isMet: boolean | undefined;
}

const SHAPES = ["small", "large", "wide", "text", "numeric"] as const;

export function goalsOf(results: Results): Goal[] {
  const typical = raceOf(results, "typical");
  return [
    times("backfill of typical documents to a file, against mongoexport", typical, EXPORT, 12),
    times("the same, against mongodump", typical, DUMP, 1),
    times("the same, against the bare drain in the same order", typical, BY_ID, 0.65),
    ...SHAPES.map((id) =>
      times(`backfill of ${id} documents, against the bare drain`, raceOf(results, id), BY_ID, 0.6),
    ),
    times("backfill of wide documents, against mongoexport", raceOf(results, "wide"), EXPORT, 10),
    times("backfill of long texts, against mongoexport", raceOf(results, "text"), EXPORT, 2.5),
    times("capture of an idle collection, against backfill", raceOf(results, "capture"), BACKFILL, 0.9, CAPTURE),
    times("airbyte read of an idle collection, against capture", raceOf(results, "airbyte"), CAPTURE, 0.6, AIRBYTE),
    ...rateGoals(raceOf(results, "airbyte")),
    times("tail from a start time, against the bare drain", raceOf(results, "tail"), STREAM, 0.9),
    times("tail from a start time, against Debezium", raceOf(results, "tail"), DEBEZIUM, 4),
    ...updateGoals(results),
    ...latencyGoals(results),
    ...startGoals(raceOf(results, "startup")),
    ...memoryGoals(results),
    ...growthGoals(results),
  ];
}

/** The goal that `own` is at least `least` times as fast as `other`. */
function times(figure: string, race: Race | undefined, other: string, least: number, own = MONGOTAP): Goal {
  const ratio = timesOf(race, other, own);
  return judge(
    figure,
    `≥ ${least} ×`,
    ratio,
    (value) => `${value.toFixed(2)} ×`,
    (value) => value >= least,
  );
}

function rateGoals(race: Race | undefined): Goal[] {
  const seconds = secondsOf(race, AIRBYTE);
  const rate = race === undefined || seconds === undefined ? undefined : race.documents / seconds;
  const text = (value: number): string => `${Math.round(value).toLocaleString("en-US")}/s`;
  return [judge("records of the same", "≥ 40,000/s", rate, text, (value) => value >= 40_000)];
}

function atMost(figure: string, most: number, unit: string, value: number | undefined): Goal {
  return judge(
    figure,
    `≤ ${most} ${unit}`,
    value,
    (one) => `${one.toFixed(1)} ${unit}`,
    (one) => one <= most,
  );
}

function judge(
  figure: string,
  goal: string,
  value: number | undefined,
  text: (value: number) => string,
  isMet: (value: number) => boolean,
): Goal {
  if (value === undefined) return { figure, goal, measured: undefined, isMet: undefined };
  return { figure, goal, measured: text(value), isMet: isMet(value) };
}

function updateGoals(results: Results): Goal[] {
  const [even, hot] = [raceOf(results, "updates"), raceOf(results, "updates-hot")];
  const own = [even, hot].flatMap((race) => race?.rows.find(({ name }) => name === MONGOTAP)?.runs ?? []);
  const peak = own.length === 0 ? undefined : Math.max(...own.map(({ peakMB }) => peakMB));
  return [
    times("tail of updates with their own versions, against the drain with updateLookup", even, STREAM_WITH_LOOKUP, 2),
    times("the same, against the drain without documents", even, STREAM, 0.6),
    times("the same with a hot key, against the drain with updateLookup", hot, STREAM_WITH_LOOKUP, 1),
    atMost("peak memory of the same", 256, "MB", peak),
  ];
}

function latencyGoals(results: Results): Goal[] {
  const groups = Object.values(results).flatMap(({ groups: all }) => all);
  const latency = groups.find((group): group is Latency => group.kind === "latency");
  const runs = latency?.rows.find(({ name }) => name === MONGOTAP)?.runs ?? [];
  const of = (pick: (run: (typeof runs)[number]) => number): number | undefined =>
    runs.length === 0 ? undefined : median(runs.map(pick));
  return [
    atMost(
      "latency at 1,000 writes/s, p50",
      10,
      "ms",
      of((run) => run.p50),
    ),
    atMost(
      "latency at 1,000 writes/s, p99",
      50,
      "ms",
      of((run) => run.p99),
    ),
  ];
}

function startGoals(race: Race | undefined): Goal[] {
  const runs = race?.rows.find(({ name }) => name === `${MONGOTAP} --help`)?.runs;
  const seconds = runs && summarize(runs.map((run) => run.seconds)).median;
  const peak = runs && Math.max(...runs.map(({ peakMB }) => peakMB));
  return [
    atMost("start-up: time of --help, compiled", 15, "ms", seconds && seconds * 1000),
    atMost("start-up: memory of --help, compiled", 40, "MB", peak),
  ];
}

function memoryGoals(results: Results): Goal[] {
  const groups = Object.values(results).flatMap(({ groups: all }) => all);
  const rows = groups.filter((group): group is Memory => group.kind === "memory").flatMap((group) => group.rows);
  const peak = rows.length === 0 ? undefined : Math.max(...rows.map(({ peakMB }) => peakMB));
  const growths = rows.map(({ points }) => {
    const { early, late } = halves(points);
    return late / early;
  });
  const growth = growths.length === 0 ? undefined : Math.max(...growths);
  const figure = "peak memory of the second half of a run, against the first";
  return [
    atMost("peak memory, consumer fast or slow", 256, "MB", peak),
    judge(
      figure,
      "flat: ≤ 1.15 ×",
      growth,
      (value) => `${value.toFixed(2)} ×`,
      (value) => value <= 1.15,
    ),
  ];
}

/** Without the time of a run over one document. */
export function microsecondsPerDocument(results: Results, name: string): { documents: number; microseconds: number }[] {
  const races = Object.values(results)
    .flatMap(({ groups }) => groups)
    .filter((group): group is Race => group.kind === "race" && group.id.startsWith("growth-"));
  const start =
    secondsOf(
      races.find(({ documents }) => documents === ALMOST_NONE),
      name,
    ) ?? 0;
  return races
    .filter(({ documents }) => documents > ALMOST_NONE)
    .map((race) => {
      const seconds = (secondsOf(race, name) ?? 0) - start;
      return { documents: race.documents, microseconds: (seconds * 1e6) / race.documents };
    });
}

function growthGoals(results: Results): Goal[] {
  const points = microsecondsPerDocument(results, MONGOTAP);
  const sizes = `from 10⁴ to ${exponent(points.at(-1)?.documents)} documents`;
  const all = points.map(({ microseconds }) => microseconds);
  const flat = (figure: string, value: number | undefined): Goal =>
    judge(
      figure,
      "≤ 1.15",
      value,
      (one) => one.toFixed(2),
      (one) => one <= 1.15,
    );
  return [
    flat(`time per document ${sizes}: the longest ÷ the shortest`, ratioOfExtremes(all)),
    flat(`the same, each size against the smaller ones: the most it rises`, mostRise(all)),
  ];
}

function ratioOfExtremes(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values) / Math.min(...values);
}

/** The largest ratio of a value to the smallest value before it. */
function mostRise(values: readonly number[]): number | undefined {
  const rises = values.slice(1).map((value, index) => value / Math.min(...values.slice(0, index + 1)));
  return rises.length === 0 ? undefined : Math.max(...rises);
}

function exponent(documents = 1e7): string {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  return `10${digits[Math.round(Math.log10(documents))] ?? ""}`;
}
