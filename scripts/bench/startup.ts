/** Time and memory of `--help` and `--version`. */

import { FROM_SOURCE, MONGOTAP } from "./names.ts";
import { memoryOf, type Outcome } from "./process.ts";
import type { Race } from "./results.ts";
import { type Contestant, takeTurns } from "./rounds.ts";
import type { BenchContext } from "./context.ts";

const RUNS = 20;

export async function measureStartup(context: BenchContext): Promise<Race[]> {
  const { mongotap, source } = context.programs;
  const contestants: Contestant[] = [
    { name: `${MONGOTAP} --help`, run: () => start([mongotap, "--help"]) },
    { name: `${MONGOTAP} --version`, run: () => start([mongotap, "--version"]) },
  ];
  if (source !== undefined)
    contestants.push({ name: `${FROM_SOURCE} --help`, run: () => start([...source, "--help"]) });
  const rows = await takeTurns(context, "start", contestants, { rounds: RUNS });
  return [{ kind: "race", id: "startup", title: "start-up", documents: 0, bytes: 0, rows, absent: [] }];
}

/** Runs it twice: undisturbed for the time, and with constant readings for the memory. */
async function start(command: string[]): Promise<Outcome> {
  const began = performance.now();
  const { exitCode, resourceUsage } = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const seconds = (performance.now() - began) / 1000;
  if (exitCode !== 0) throw new Error(`${command.at(-1)} ended with ${exitCode}`);
  const cpuSeconds = Number(resourceUsage.cpuTime.total) / 1e6;
  return { finished: { seconds, cpuSeconds, peakMB: await peakOf(command), stdout: "" }, bytes: 0 };
}

async function peakOf(command: string[]): Promise<number> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  let peakMB = 0;
  // it has exited and is a zombie, which has no memory
  for (let memory = memoryOf(child.pid); memory !== undefined; memory = memoryOf(child.pid)) peakMB = memory.peakMB;
  await child.exited;
  return peakMB;
}
