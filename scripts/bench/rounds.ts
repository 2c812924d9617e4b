/** Contestants take turns: A B C, A B C, …, so that all of them see the same neighbours on the machine. */

/** One run of one contestant. */
export interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMB: number;
  /** What was read or written, for rates; the same in every run of a contestant. */
  readonly documents: number;
  /** Of output; 0 where nothing is written. */
  readonly bytes: number;
}

export interface Contestant {
  readonly name: string;
  /** Runs once; rejects when its output is not what it should be. */
  run(): Promise<Measured>;
}

export interface Scored {
  readonly name: string;
  readonly runs: readonly Measured[];
}

export async function takeTurns(
  contestants: readonly Contestant[],
  rounds: number,
  onRun: (name: string, round: number, measured: Measured) => void,
): Promise<Scored[]> {
  const scored = contestants.map(({ name }) => ({ name, runs: [] as Measured[] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, contestant] of contestants.entries()) {
      const measured = await contestant.run();
      scored[index]?.runs.push(measured);
      onRun(contestant.name, round, measured);
    }
  }
  return scored;
}
