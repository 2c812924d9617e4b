/** Runs the program again and again, and kills it with -9 at random moments. */
import { statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import type { Tap } from "../cli/tap.ts";

/** How long a program may take to its first commit on a busy machine. */
const LONGEST_START_MS = 10_000;

export interface Life {
  readonly tap: Tap;
  readonly args: readonly string[];
  readonly state: string;
  /** A kill at any moment comes after this at the latest. */
  readonly longestMs: number;
}

/** Starts the program and kills it. Resolves to whether it died of that; throws when it failed by itself. */
export async function killOnce({ tap, args, state, longestMs }: Life): Promise<boolean> {
  await using program = tap.start(args);
  // Half of them at any moment, half while the state and what belongs to it are being written.
  const isTimed = Math.random() < 0.5;
  const moment = isTimed ? sleep(Math.random() * longestMs) : aroundCommit(state);
  await Promise.race([moment, program.done]);
  program.kill("SIGKILL");
  const { code, stderr } = await program.done;
  if (code !== null && code !== 0) throw new Error(`ended with ${code} before it was killed: ${stderr}`);
  await expectCovered(state);
  return code === null;
}

/** Lives of one program, each ended by kill -9, until it has died `kills` times or come to its end. Resolves to the deaths. */
export async function killUntilDone(life: Life, kills: number): Promise<number> {
  for (let died = 0; died < kills; died += 1) {
    if (!(await killOnce(life))) return died;
  }
  return kills;
}

/** Resolves some milliseconds after the state was next saved: the first time soon after the start. */
async function aroundCommit(state: string): Promise<void> {
  const before = inodeOf(state);
  const deadline = performance.now() + LONGEST_START_MS;
  while (inodeOf(state) === before && performance.now() < deadline) await sleep(1);
  await sleep(Math.random() * 20);
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

/** The state can be read, and claims no more than the files hold. */
async function expectCovered(state: string): Promise<void> {
  const saved = await loadCheckpoint(state, { readOnly: true });
  for (const mark of saved?.outputs ?? []) {
    const partial = mark.partial === undefined ? undefined : await sizeOf(`${mark.path}.partial`);
    const size = partial ?? (await sizeOf(mark.path)) ?? -1;
    if (size < mark.bytes) throw new Error(`the state claims ${mark.bytes} bytes of ${mark.path}, which has ${size}`);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined); // a file that is not there has no size
  return found?.size;
}
