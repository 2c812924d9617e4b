/**
 * Python packages for tests: a virtual environment in .cache for each set of pinned packages, made once.
 *   bun scripts/python.ts NAME     makes the environment NAME, and prints its folder
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The clients of platforms, each with what it was tried with. */
export const ENVIRONMENTS = {
  // pytest is for the tests of connectors in airbyte-cdk.
  airbyte: ["airbyte==0.71.3", "airbyte-cdk==7.39.1", "pytest==9.2.0"],
  meltano: ["meltano==4.4.1"],
  "target-jsonl": ["target-jsonl==0.1.4"],
  "singer-sdk": ["singer-sdk[testing]==0.54.9"],
  "singer-tools": ["singer-tools==0.4.1"],
  flow: ["estuary-cdk==0.3.0.dev31"],
} as const satisfies Record<string, readonly string[]>;

export type EnvironmentName = keyof typeof ENVIRONMENTS;

const CACHE = process.env["MONGOTAP_CACHE"] ?? join(import.meta.dirname, "../.cache");
/** Written when all packages are installed: an environment without it was interrupted. */
const COMPLETE = "mongotap-complete";

/** The folder of the programs of an environment; undefined where it has not been made. */
function builtPython(name: EnvironmentName): string | undefined {
  const folder = folderOf(name);
  return existsSync(join(folder, COMPLETE)) ? join(folder, "bin") : undefined;
}

/** The environments that the source of a test asks for, each by a call of `requirePython`. */
export function environmentsIn(source: string): readonly EnvironmentName[] {
  return Object.keys(ENVIRONMENTS).filter((name) => source.includes(`requirePython("${name}")`)) as EnvironmentName[];
}

/** The folder of the programs of an environment. Throws where it has not been made: scripts/test.ts makes it. */
export function requirePython(name: EnvironmentName): string {
  const built = builtPython(name);
  if (built === undefined) throw new Error(`${name} is missing: \`bun scripts/python.ts ${name}\` installs it`);
  return built;
}

/**
 * The folder of the programs of an environment, which it makes if it is missing (this takes seconds to a minute). Prints a warning
 * and returns undefined where that fails: without Python, or where the package index cannot be reached.
 */
export function findPython(name: EnvironmentName): string | undefined {
  const built = builtPython(name);
  if (built !== undefined) return built;
  const folder = folderOf(name);
  const packages = ENVIRONMENTS[name];
  try {
    console.log(`── installing ${packages.join(" ")}`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const uv = uvProgram();
    execFileSync(uv, ["venv", "--quiet", "--clear", "--python", "python3", folder], { stdio: "pipe" });
    const where = ["--python", join(folder, "bin/python")];
    const scratch = join(folder, "tmp"); // uv leaves lock files behind
    mkdirSync(scratch);
    const env = { ...process.env, TMPDIR: scratch };
    execFileSync(uv, ["pip", "install", "--quiet", ...where, ...packages, ...constraintsOf(name)], {
      stdio: "pipe",
      env,
    });
    rmSync(scratch, { recursive: true });
    writeFileSync(join(folder, COMPLETE), packages.join("\n"));
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    console.warn(
      `── NOT INSTALLED: ${packages.join(" ")} (${said.trim().split("\n").at(-1) ?? ""}): its tests are SKIPPED`,
    );
  }
  return builtPython(name);
}

/** Installs packages in seconds where pip needs minutes. The one on the PATH, else one of our own. */
function uvProgram(): string {
  try {
    execFileSync("uv", ["--version"], { stdio: "pipe" });
    return "uv";
  } catch {
    const folder = join(CACHE, "python", UV);
    const program = join(folder, "bin/uv");
    if (existsSync(program)) return program;
    execFileSync("python3", ["-m", "venv", "--clear", folder], { stdio: "pipe" });
    execFileSync(join(folder, "bin/python"), ["-m", "pip", "install", "--quiet", UV], { stdio: "pipe" });
    return program;
  }
}

const UV = "uv==0.13.9";

/** The versions of all packages of an environment (`pip freeze`), so that it is the same on every day. */
function constraintsOf(name: EnvironmentName): readonly [option: "--constraint", file: string] {
  return ["--constraint", join(import.meta.dirname, "python", `${name}.txt`)];
}

function folderOf(name: EnvironmentName): string {
  const [, constraints] = constraintsOf(name);
  const texts = [...ENVIRONMENTS[name], readFileSync(constraints, "utf8")];
  const hash = createHash("sha256").update(texts.join("\n")).digest("hex").slice(0, 8);
  return join(CACHE, "python", `${name}-${hash}`);
}

if (import.meta.main) {
  const name = process.argv[2] ?? "";
  if (!(name in ENVIRONMENTS)) throw new Error(`takes one of ${Object.keys(ENVIRONMENTS).join(", ")}`);
  const folder = findPython(name as EnvironmentName);
  if (folder === undefined) process.exitCode = 1;
  else console.log(folder);
}
