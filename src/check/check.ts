/** What a check is, and how the list of them is run. */

import type { Kind } from "../errors.ts";

export type Verdict = "ok" | "warn" | "fail";

export interface Finding {
  readonly verdict: Verdict;
  /** One line: what was found. */
  readonly detail: string;
  /** What to do about it; may have several lines, ready to paste. */
  readonly remedy?: string;
  /** What a run would end with because of this. */
  readonly kind?: Kind;
}

export interface Check {
  /** One or two words. */
  readonly name: string;
  /** Never throws for what it checks: that is a finding. */
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
