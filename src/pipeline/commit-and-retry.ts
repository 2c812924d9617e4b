/** When to retry and when to commit: pure decisions. */

const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/**
 * How long to wait before retry number `attempt`, from 1, in ms: exponential backoff with jitter on half of it, so that
 * the clients of one server do not return together. `chance` is in [0, 1).
 */
export function backoffMs(attempt: number, chance: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.round(full / 2 + (full / 2) * chance);
}

export interface CommitState {
  /** Bytes written since the last commit. */
  readonly bytes: number;
  /** Whether the position has moved since the last commit. */
  readonly moved: boolean;
  /** This run has committed nothing so far. */
  readonly first: boolean;
  readonly msSinceCommit: number;
  /** How long (ms) lines may wait; default: COMMIT_MS. */
  readonly commitMs?: number | undefined;
}

const COMMIT_BYTES = 256 * 1024 * 1024;
const COMMIT_MS = 1_000;
/** For a position that moved without lines: far below any oplog window, and rare enough not to wear a disk. */
const IDLE_COMMIT_MS = 10_000;

/** Bytes once a second, a position that moved without bytes every ten seconds, the first position at once. */
export function shouldCommit({ bytes, moved, first, msSinceCommit, commitMs = COMMIT_MS }: CommitState): boolean {
  if (!moved) return false;
  if (first) return true;
  if (bytes >= COMMIT_BYTES) return true;
  return msSinceCommit >= (bytes > 0 ? commitMs : IDLE_COMMIT_MS);
}
