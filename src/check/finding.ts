/** A check of `mongotap check`, and what it returns. */

import type { Kind } from "../errors.ts";

export type Verdict = "ok" | "warn" | "fail";

export interface Finding {
  readonly verdict: Verdict;
  /** One line. */
  readonly detail: string;
  /** What to do about it: one or more lines, ready to paste. */
  readonly remedy?: string;
  /** The kind of error with which a run would fail for this reason. */
  readonly kind?: Kind;
}

export interface Check {
  /** One or two words. */
  readonly name: string;
  /** Resolves to a finding, also for a failure of what it checks; rejects with other errors. */
  readonly run: () => Promise<Finding>;
}

export interface NamedFinding extends Finding {
  readonly name: string;
}

export function ok(detail: string): Finding {
  return { verdict: "ok", detail };
}

export function warn(detail: string, remedy: string): Finding {
  return { verdict: "warn", detail, remedy };
}

export function fail(kind: Kind, detail: string, remedy: string): Finding {
  return { verdict: "fail", detail, remedy, kind };
}
