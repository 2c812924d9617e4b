/** Runs the program again and again, and kills it with -9 at random moments, which depend on the seed of the run. */
import { statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../scripts/lib/random.ts";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import type { Tap } from "../cli/tap.ts";

/** How long a program may take to its first commit on a busy machine. */
const LONGEST_START_MS = 10_000;
/** How long to wait for lines behind a commit, where perhaps none come any more. */
const LONGEST_WAIT_MS = 3_000;

export interface Life {
  readonly tap: Tap;
  readonly args: readonly string[];
  readonly state: string;
  /** A kill at any moment comes after this at the latest. */
  readonly longestMs: number;
  /** Chooses the moments of the kills. */
  readonly random: Random;
}

/** What has happened to a program. */
export interface Deaths {
  /** How often it was killed. */
  readonly kills: number;
  /** How often it had written what no state knew: the kills that matter most. */
  readonly ahead: number;
}

/** Lives of one program, each ended by kill -9, until it has died `most` times or come to its end by itself. */
export async function killUntilDone(life: Life, most: number): Promise<Deaths> {
  let ahead = 0;
  for (let kills = 0; kills < most; kills += 1) {
    const death = await killOnce(life);
    if (death === undefined) return { kills, ahead };
    if (death.bytesAhead > 0) ahead += 1;
  }
  return { kills: most, ahead };
}

/** Starts the program and kills it. Resolves to undefined when it ended before; throws when it failed by itself. */
async function killOnce({
  tap,
  args,
  state,
  longestMs,
  random,
}: Life): Promise<{ readonly bytesAhead: number } | undefined> {
  await using program = tap.start(args);
  // At any moment; while the state and what belongs to it are being written; or amid lines that are not yet committed.
  const chance = random.next();
  const moment =
    chance < 0.25
      ? sleep(random.between(0, longestMs))
      : chance < 0.6
        ? behindCommit(state, random)
        : aheadOfCommit(state, random);
  await Promise.race([moment, program.done]);
  program.kill("SIGKILL");
  const { code, stderr } = await program.done;
  if (code !== null && code !== 0) throw new Error(`ended with ${code} before it was killed: ${stderr}`);
  const bytesAhead = await bytesAheadOf(state);
  return code === null ? { bytesAhead } : undefined;
}

/** Resolves some milliseconds after the state was saved: the first time soon after the start, or a second later again. */
async function behindCommit(state: string, random: Random): Promise<void> {
  const deadline = performance.now() + LONGEST_START_MS;
  for (let commits = random.pick([1, 2]); commits > 0; commits -= 1) {
    const before = inodeOf(state);
    while (inodeOf(state) === before && performance.now() < deadline) await sleep(1);
  }
  await sleep(random.between(0, 20));
}

/** Resolves some milliseconds after lines have come that the state does not know. */
async function aheadOfCommit(state: string, random: Random): Promise<void> {
  await behindCommit(state, random);
  const deadline = performance.now() + LONGEST_WAIT_MS;
  while ((await bytesAheadOf(state)) === 0 && performance.now() < deadline) await sleep(2);
  await sleep(random.between(0, 50));
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

/** How much the files hold beyond what the state claims. Throws when the state cannot be read, or claims more. */
async function bytesAheadOf(state: string): Promise<number> {
  const saved = await loadCheckpoint(state, { readOnly: true });
  let ahead = 0;
  for (const mark of saved?.outputs ?? []) {
    const partial = mark.partial === undefined ? undefined : await sizeOf(`${mark.path}.partial`);
    const size = partial ?? (await sizeOf(mark.path)) ?? -1;
    if (size < mark.bytes) throw new Error(`the state claims ${mark.bytes} bytes of ${mark.path}, which has ${size}`);
    ahead += size - mark.bytes;
  }
  return ahead;
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined); // a file that is not there has no size
  return found?.size;
}
