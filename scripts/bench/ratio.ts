/** Comparisons within one race: round by round, so that what slows down both does not count. */

import type { Measured, Race, Results } from "./results.ts";
import { median } from "./statistics.ts";

/** How many times the time of `b` does `a` take? The median of the rounds; undefined where one did not take part. */
export function timesOf(race: Race | undefined, a: string, b: string): number | undefined {
  const first = runsOf(race, a);
  const second = runsOf(race, b);
  const ratios = first.flatMap(({ seconds }, round) => {
    const other = second[round];
    return other === undefined ? [] : [seconds / other.seconds];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

export function secondsOf(race: Race | undefined, name: string): number | undefined {
  const runs = runsOf(race, name);
  return runs.length === 0 ? undefined : median(runs.map(({ seconds }) => seconds));
}

function runsOf(race: Race | undefined, name: string): readonly Measured[] {
  return race?.rows.find((row) => row.name === name)?.runs ?? [];
}

/** The race of that id in any section; undefined where it has not been run. */
export function raceOf(results: Results, id: string): Race | undefined {
  for (const { groups } of Object.values(results)) {
    for (const group of groups) if (group.kind === "race" && group.id === id) return group;
  }
  return undefined;
}
