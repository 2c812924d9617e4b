/** Keeps other runs away from the state and the outputs of this one. */

import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import type { Settings } from "../config/options.ts";
import type { Shard } from "../config/values.ts";
import { MongotapError } from "../errors.ts";
import { acquireLock, type LockOptions } from "../state/lock.ts";
import type { Target } from "./output.ts";

/** What a run writes to besides its main output. */
type Written = Pick<Settings, "state" | "onBadDocument" | "shard">;

/**
 * Takes the locks of everything that the run will write to; disposing gives them back.
 * @throws MongotapError `locked` when another run has one of them, `usage` when one path serves two purposes
 */
export async function lockOutputs(target: Target, written: Written, options: LockOptions): Promise<AsyncDisposable> {
  const paths = await pathsOf(target, written);
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined)
    throw new MongotapError("usage", `${twice} cannot be the state and an output, or two outputs, at once`);
  const locks: AsyncDisposable[] = [];
  const release = async (): Promise<void> => {
    for (const lock of locks.toReversed()) await lock[Symbol.asyncDispose]();
  };
  try {
    for (const path of paths) locks.push(await acquireLock(path, options));
  } catch (error) {
    await release();
    throw error;
  }
  return { [Symbol.asyncDispose]: release };
}

/** The state first: it is what people run twice. Pipes and devices have no lock, and missing folders are told by the sink. */
async function pathsOf(target: Target, { state, onBadDocument, shard }: Written): Promise<string[]> {
  const outputs = [
    ...(target.kind === "stdout" ? [] : [mainPathOf(target, shard)]),
    ...(onBadDocument.policy === "quarantine" ? [resolve(onBadDocument.file)] : []),
  ];
  const lockable: string[] = state === undefined ? [] : [resolve(state)];
  for (const path of outputs) if (await isLockable(path)) lockable.push(path);
  return lockable;
}

/** Shares have files of their own in a folder that they have in common. */
function mainPathOf({ kind, path }: Exclude<Target, { kind: "stdout" }>, shard: Shard | undefined): string {
  return shard && kind === "directory" ? `${path}.${shard.index}-of-${shard.of}` : path;
}

async function isLockable(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found) return found.isFile() || found.isDirectory();
  const folder = await stat(dirname(path)).catch(() => undefined);
  return folder?.isDirectory() === true;
}
