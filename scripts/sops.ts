/**
 * The real sops, for tests: built by `go install` at a pinned version into .cache, once.
 *   bun scripts/sops.ts            builds it, and prints its folder
 *   bun scripts/sops.ts fixtures   writes test/config/fixtures
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const SOPS = "github.com/getsops/sops/v3/cmd/sops@v3.13.3";
const AGE_KEYGEN = "filippo.io/age/cmd/age-keygen@v1.3.2";
const FOLDER = join(import.meta.dirname, "../.cache/sops-3.13.3");

export interface SopsTools {
  /** Where both programs are. */
  readonly folder: string;
  readonly sops: string;
  readonly ageKeygen: string;
}

/** The programs, if they are already built. */
export function builtSops(): SopsTools | undefined {
  const tools = { folder: FOLDER, sops: join(FOLDER, "sops"), ageKeygen: join(FOLDER, "age-keygen") };
  return existsSync(tools.sops) && existsSync(tools.ageKeygen) ? tools : undefined;
}

/** The programs, which it builds if they are missing (this takes minutes). Prints a warning and returns undefined if that fails. */
export function findSops(): SopsTools | undefined {
  const built = builtSops();
  if (built !== undefined) return built;
  mkdirSync(FOLDER, { recursive: true });
  try {
    console.log(`── building ${SOPS}`);
    for (const program of [AGE_KEYGEN, SOPS]) {
      execFileSync("go", ["install", program], { env: { ...process.env, GOBIN: FOLDER }, stdio: "pipe" });
    }
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n").at(-1) ?? "") : String(error);
    console.warn(`── sops cannot be built (${reason}): the tests with it will fail; it needs go`);
  }
  return builtSops();
}

if (import.meta.main) {
  const tools = findSops();
  if (tools === undefined) process.exitCode = 1;
  else if (process.argv[2] === "fixtures") {
    const { makeFixtures } = await import("../test/config/sops-documents.ts");
    makeFixtures(tools, join(import.meta.dirname, "../test/config/fixtures"));
  } else console.log(tools.folder);
}
