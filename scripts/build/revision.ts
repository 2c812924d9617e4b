/** The commit that a build is made from. All times in what is built are its time, so that a build can be repeated. */

import { execFileSync } from "node:child_process";

export interface Revision {
  /** `3f2a9c1`, `3f2a9c1-dirty` with changes that are not committed, or `unknown commit` outside a checkout. */
  readonly commit: string;
  /** `SOURCE_DATE_EPOCH` (https://reproducible-builds.org/specs/source-date-epoch/), else the time of the commit. */
  readonly time: Date;
}

export function revisionOf(root: string, env: Readonly<Record<string, string | undefined>> = process.env): Revision {
  const full = git(root, "rev-parse", "HEAD");
  const isDirty = git(root, "status", "--porcelain", "--untracked-files=no") !== "";
  const epoch = env["SOURCE_DATE_EPOCH"] || git(root, "log", "-1", "--format=%ct") || "0";
  if (!/^\d+$/.test(epoch)) throw new Error(`SOURCE_DATE_EPOCH is ${JSON.stringify(epoch)}, not seconds since 1970`);
  const commit = full === undefined ? "unknown commit" : `${full.slice(0, 7)}${isDirty ? "-dirty" : ""}`;
  return { commit, time: new Date(Number(epoch) * 1000) };
}

/** What git prints; undefined where it fails. */
function git(root: string, ...args: readonly string[]): string | undefined {
  try {
    return execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}
