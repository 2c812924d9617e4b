/** What a run has counted, without what it has taken back. */

import { newStats, type Stats } from "../observe/stats.ts";
import type { Encoder, Omissions } from "../protocol/protocol.ts";

export interface Counts extends Pick<Encoder, "omissions"> {
  readonly stats: Stats;
  /** Returns a function that sets the counts back to what they are now. */
  savepoint(): () => void;
}

/** The counts of a run that starts at `now`, in ms. */
export function createCounts(encoder: Pick<Encoder, "omissions">, now: number): Counts {
  const stats = newStats(now);
  const takenBack: Record<string, number> = {};
  const omissions = (): Omissions => less(encoder.omissions(), takenBack);
  return {
    stats,
    omissions,
    savepoint() {
      const before = { ...stats };
      const omitted = omissions();
      return () => {
        Object.assign(stats, before);
        for (const [name, count] of numbersOf(omissions())) {
          const surplus = count - Number(omitted[name as keyof Omissions]);
          takenBack[name] = (takenBack[name] ?? 0) + surplus;
        }
      };
    },
  };
}

function less(omissions: Readonly<Omissions>, takenBack: Readonly<Record<string, number>>): Omissions {
  const kept = numbersOf(omissions).map(([name, count]) => [name, count - (takenBack[name] ?? 0)]);
  return { ...omissions, ...(Object.fromEntries(kept) as Partial<Omissions>) };
}

/** Documents that are read again change only plain numbers. */
function numbersOf(omissions: Readonly<Omissions>): [name: string, count: number][] {
  return Object.entries(omissions).filter((entry): entry is [string, number] => typeof entry[1] === "number");
}
