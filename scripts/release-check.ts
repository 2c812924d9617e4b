/**
 * Makes a release twice, in two folders, compares the files, and installs what is in it: `bun scripts/release-check.ts [--url URL]`.
 * Leaves the release in `dist/release/`. It takes about ten minutes, needs Debian 12, root and the packages of .ci/packages,
 * and takes the last commit: what is not committed is not released.
 */

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { revisionOf } from "./build/revision.ts";
import { goTool } from "./lib/go-tool.ts";

const ROOT = join(import.meta.dirname, "..");

/** What must not be seen in the files: the folder, the time zone, the language, the permissions of new files. */
const SURROUNDINGS = [
  { folder: "a", umask: "022", env: { TZ: "UTC", LC_ALL: "C.UTF-8" } },
  { folder: "b/c/elsewhere", umask: "077", env: { TZ: "Asia/Kolkata", LC_ALL: "C" } },
] as const;

function run(command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): void {
  execFileSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: "inherit" });
}

/** A clone of the last commit with the packages of this checkout, as hard links. */
function checkout(folder: string): void {
  mkdirSync(dirname(folder), { recursive: true });
  run("git", ["clone", "--quiet", "--no-hardlinks", ROOT, folder], ROOT);
  for (const name of ["node_modules", ".cache"]) {
    if (existsSync(join(ROOT, name))) run("cp", ["--archive", "--link", join(ROOT, name), join(folder, name)], ROOT);
  }
}

function build(scratch: string, { folder, umask, env }: (typeof SURROUNDINGS)[number], url: string): string {
  const place = join(scratch, folder);
  console.log(`── a release in ${folder}/, with umask ${umask} and ${Object.values(env).join(", ")}`);
  const command = `umask ${umask} && exec "$0" scripts/release.ts --url "$1"`;
  run("sh", ["-c", command, process.execPath, url], place, env);
  return join(place, "dist/release");
}

const { values } = parseArgs({ options: { url: { type: "string", default: "https://example.com/mongotap" } } });
const scratch = mkdtempSync(join(tmpdir(), "mongotap-release-"));
try {
  if (revisionOf(ROOT).commit.endsWith("-dirty"))
    console.warn("── changes that are not committed are not in the release");
  goTool("nfpm");
  for (const { folder } of SURROUNDINGS) checkout(join(scratch, folder)); // both now: a commit may come while one is built
  const [first = "", second = ""] = SURROUNDINGS.map((surroundings) => build(scratch, surroundings, values.url));
  const sums = [first, second].map((folder) => readFileSync(join(folder, "SHA256SUMS"), "utf8"));
  if (sums[0] !== sums[1]) throw new Error(`the two releases differ:\n${sums.join("\n")}`);
  console.log(`── both are the same:\n${sums[0]}`);
  const release = join(ROOT, "dist/release");
  rmSync(release, { recursive: true, force: true });
  cpSync(first, release, { recursive: true });
  run("sha256sum", ["--check", "--strict", "--quiet", "SHA256SUMS"], release);
  run(process.execPath, ["scripts/test.ts", "test/release/"], ROOT, { MONGOTAP_RELEASE: release });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
