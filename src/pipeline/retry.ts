/** When to try again, and when to give up: decisions without clocks or timers of their own. */

const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/**
 * How long to wait before attempt `attempt` (1 is the first repeat), in ms: doubling, half of it by chance, so that
 * many clients of one server do not come back together. `chance` is in [0, 1).
 */
export function backoffMs(attempt: number, chance: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.round(full / 2 + (full / 2) * chance);
}

export interface CommitState {
  /** Bytes written since the last commit. */
  readonly bytes: number;
  /** Whether the position has moved since the last commit, with or without bytes. */
  readonly moved: boolean;
  /** Nothing has been committed yet in this run. */
  readonly first: boolean;
  readonly msSinceCommit: number;
}

const COMMIT_BYTES = 256 * 1024 * 1024;
const COMMIT_MS = 1_000;
/** A position without lines: far below any oplog window, rare enough not to wear a disk. */
const IDLE_COMMIT_MS = 10_000;

/** Commits bytes once a second; a position that moved alone, every ten seconds; the first position at once. */
export function shouldCommit({ bytes, moved, first, msSinceCommit }: CommitState): boolean {
  if (!moved) return false;
  if (first) return true;
  if (bytes >= COMMIT_BYTES) return true;
  return msSinceCommit >= (bytes > 0 ? COMMIT_MS : IDLE_COMMIT_MS);
}
