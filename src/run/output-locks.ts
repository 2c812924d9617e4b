/** The locks of one run: no other run may use its state or its outputs. */

import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import type { Settings } from "../config/options.ts";
import type { Shard } from "../config/value-schemas.ts";
import { MongotapError } from "../errors.ts";
import { acquireLock, type LockOptions } from "../state/lock.ts";
import type { Target } from "./output.ts";

/** The settings that name what a run writes besides its main output, or that change the name of its lock. */
type LockedSettings = Pick<Settings, "state" | "onBadDocument" | "shard">;

/**
 * Acquires the locks of everything that the run will write; disposing releases them.
 * @throws MongotapError `locked` when another run holds one of them, `usage` when two of the paths are the same
 */
export async function lockOutputs(
  target: Target,
  settings: LockedSettings,
  options: LockOptions,
): Promise<AsyncDisposable> {
  const paths = await pathsOf(target, settings);
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

/** The state first. Pipes and devices have no lock; the sink reports a missing folder. */
async function pathsOf(target: Target, { state, onBadDocument, shard }: LockedSettings): Promise<string[]> {
  const outputs = [
    ...(target.kind === "stdout" ? [] : [mainPathOf(target, shard)]),
    ...(onBadDocument.policy === "quarantine" ? [resolve(onBadDocument.file)] : []),
  ];
  const lockable: string[] = state === undefined ? [] : [resolve(state)];
  for (const path of outputs) if (await isLockable(path)) lockable.push(path);
  return lockable;
}

/** Shards write different files into one folder: each has a lock of its own. */
function mainPathOf({ kind, path }: Exclude<Target, { kind: "stdout" }>, shard: Shard | undefined): string {
  return shard && kind === "directory" ? `${path}.${shard.index}-of-${shard.of}` : path;
}

async function isLockable(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found) return found.isFile() || found.isDirectory();
  const folder = await stat(dirname(path)).catch(() => undefined);
  return folder?.isDirectory() === true;
}
