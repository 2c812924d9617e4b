/**
 * Runs the tests: `bun scripts/test.ts [--unit | --versions] [--workers N] [--root FOLDER] [pattern…]`. Prints as its last
 * line `N passed, N failed`, and exits with 1 if a test failed (flaky ones too), a file ran no test, or a process died.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { SEED_VARIABLE, seedFrom } from "./lib/random.ts";
import { findMongod } from "./mongod.ts";
import { environmentsIn, findPython } from "./python.ts";
import { findSops } from "./sops.ts";
import { NOTHING, brokenFiles, countTests, flakyFiles, plus } from "./test/junit.ts";
import type { Counts, Outcome } from "./test/junit.ts";
import { findTests, planAll, planUnit, planVersions } from "./test/plan.ts";
import type { TestRun } from "./test/plan.ts";

interface Options {
  /** The folder with `test/` in it. */
  readonly root: string;
  /** Processes of `bun test` at the same time. */
  readonly workers: number;
  /** A folder for the reports. */
  readonly scratch: string;
}

const ROOT = join(import.meta.dirname, "..");
const SEED = seedFrom(process.env);
const ENVIRONMENT = {
  ...process.env,
  [SEED_VARIABLE]: String(SEED),
  PATH: `${ROOT}/node_modules/.bin${delimiter}${process.env["PATH"] ?? ""}`,
  DENO_NO_UPDATE_CHECK: "1",
};

interface Execution {
  readonly cwd: string;
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** After this the process is killed. */
  readonly limitMinutes: number;
}

/** Runs Bun with `args`. Resolves with the exit code; -1 where a signal or the time limit ended the process. */
function execute(args: readonly string[], { cwd, env, limitMinutes }: Execution): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env: { ...ENVIRONMENT, ...env }, stdio: "inherit" });
    const limit = setTimeout(() => {
      console.log(`── ended after ${limitMinutes} minutes: run the files one by one to find the one that hangs`);
      child.kill("SIGKILL");
    }, limitMinutes * 60_000);
    child.on("error", reject);
    child.on("exit", (code) => {
      clearTimeout(limit);
      resolve(code ?? -1);
    });
  });
}

const BUILD: Execution = { cwd: ROOT, env: {}, limitMinutes: 5 };
let isBuilt = false;

async function build(script: string): Promise<true> {
  if ((await execute([script], BUILD)) !== 0) throw new Error(`${script} failed`);
  return true;
}

/**
 * Builds and fetches what the tests need, so that none of them spends its time on that. Resolves to the files that can run: a
 * package that cannot be installed leaves out the tests with it.
 */
async function prepare({ name, needs, files }: TestRun, root: string): Promise<readonly string[]> {
  if (name === "release" && process.platform !== "linux") throw new Error("root file systems are those of Linux");
  if (files.some((file) => file.includes("/sops."))) findSops(); // the first time this compiles for minutes
  const runnable = files.filter((file) => arePackagesThere(readFileSync(join(root, file), "utf8")));
  if (runnable.length === 0) return [];
  if (needs.binary === true) isBuilt ||= await build("scripts/build.ts");
  if (needs.packages === true) await build("scripts/npm.ts");
  if (needs.mongod !== undefined) await findMongod(needs.mongod === "any" ? {} : { version: needs.mongod });
  return runnable;
}

function arePackagesThere(source: string): boolean {
  return environmentsIn(source).every((name) => findPython(name) !== undefined);
}

/**
 * Runs the files of `run` and counts their tests. A file that fails beside others runs once more alone, only to tell a
 * flaky test from a broken one: the counts are those of the first run, so a flaky test fails the run too.
 */
async function runTests(run: TestRun, { root, workers, scratch }: Options): Promise<Counts> {
  const settings = Object.entries(run.env).map(([name, value]) => `${name}="${value}" `);
  console.log(`\n── ${run.name}: ${settings.join("")}bun test ${run.files.join(" ")}`);
  let files: readonly string[];
  try {
    files = await prepare(run, root);
  } catch (error) {
    console.log(`── ${run.name}: not run: ${error instanceof Error ? error.message : String(error)}`);
    return { ...NOTHING, failed: run.files.length };
  }
  const left = run.files.filter((file) => !files.includes(file));
  if (left.length > 0) console.log(`── ${run.name}: SKIPPED, its packages cannot be installed: ${left.join(" ")}`);
  if (files.length === 0) return { ...NOTHING, skipped: left.length };
  const started = performance.now();
  const first = await runFiles(run, files, { root, workers, scratch });
  const counts = countTests(first);
  const broken = brokenFiles(first);
  if (broken.length > 0 && broken.length <= MOST_RERUN) {
    console.log(`\n── ${run.name}: again, alone: ${broken.join(" ")}`);
    const alone = await runFiles(run, broken, { root, workers: 1, scratch });
    for (const file of flakyFiles(first, alone))
      console.log(`── ${run.name}: flaky: failed beside others, passed alone: ${file}`);
  }
  for (const file of counts.silent) console.log(`── ${run.name}: ${file} ran no test`);
  console.log(`── ${run.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return { ...counts, skipped: counts.skipped + left.length };
}

/** More broken files than this have one cause, which a second run does not find. */
const MOST_RERUN = 5;

async function runFiles(
  run: TestRun,
  chosen: readonly string[],
  { root, workers, scratch }: Options,
): Promise<Outcome> {
  const report = join(scratch, "report.xml");
  rmSync(report, { force: true });
  // --no-isolate: a process runs file after file, so that they share the server it started. The time limit that
  // test/setup.ts sets holds for the first file of a process only, hence --timeout.
  const flags = ["--no-orphans", "--only-failures", "--timeout=60000", `--parallel=${workers}`, "--no-isolate"];
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const files = chosen.map((file) => `./${file}`);
  const exitCode = await execute(["test", ...flags, ...reporter, ...files], {
    cwd: root,
    env: run.env,
    limitMinutes: run.limitMinutes,
  });
  return { report: readIfThere(report), exitCode, files: chosen };
}

function summary(name: string, { passed, failed, skipped }: Counts): string {
  const columns = [`${passed} ok`, failed > 0 ? `${failed} FAILED` : "", skipped > 0 ? `${skipped} SKIPPED` : ""];
  return `${name.padEnd(24)}  ${columns.join("  ").trimEnd()}`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // The process died before it wrote the report; countTests() counts that.
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      unit: { type: "boolean", default: false },
      versions: { type: "boolean", default: false },
      workers: { type: "string", default: "2" },
      root: { type: "string", default: ROOT },
    },
    allowPositionals: true,
  });
  console.log(`${SEED_VARIABLE}=${SEED}`);
  const files = findTests(values.root, positionals);
  const runs = values.unit
    ? planUnit(files)
    : values.versions
      ? planVersions(files)
      : planAll(files, process.env["MONGOTAP"]);
  const scratch = mkdtempSync(join(tmpdir(), "mongotap-tests-"));
  const results: string[] = [];
  let total = NOTHING;
  try {
    for (const run of runs) {
      const counts = await runTests(run, { root: values.root, workers: Number(values.workers), scratch });
      total = plus(total, counts);
      results.push(summary(run.name, counts));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (runs.length === 0) console.log(`no test file matches ${positionals.join(" ")}`);
  console.log(`\n${results.join("\n")}`);
  if (total.skipped > 0)
    console.log(`── SKIPPED: ${total.skipped}. They prove nothing in this run; the lines above say why`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

process.exitCode = await main();
