/**
 * Runs the tests: `bun scripts/test.ts [--unit | --versions] [--workers N] [pattern…]`. Ends with one line
 * `N passed, N failed`, and with exit code 1 where a test failed, a file ran no test, or a run died.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { findMongod } from "./mongod/find.ts";
import { findSops } from "./sops.ts";
import { NOTHING, brokenFiles, countTests, plus, without } from "./test/junit.ts";
import type { Counts, Outcome } from "./test/junit.ts";
import { findTests, planAll, planUnit, planVersions } from "./test/plan.ts";
import type { TestRun } from "./test/plan.ts";

const ROOT = join(import.meta.dirname, "..");
const ENVIRONMENT = {
  ...process.env,
  PATH: `${ROOT}/node_modules/.bin${delimiter}${process.env["PATH"] ?? ""}`,
  DENO_NO_UPDATE_CHECK: "1",
};

/** Resolves with the exit code; -1 where a signal or the time limit ended the process. */
function execute(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  limitMinutes: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...ENVIRONMENT, ...env }, stdio: "inherit" });
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

/** Builds and fetches what the tests need, so that none of them spends its time on that. */
async function prepare({ needs, files }: TestRun): Promise<void> {
  if (files.some((file) => file.includes("/sops."))) findSops(); // builds for minutes, the first time
  if (needs.binary === true && (await execute(["scripts/build.ts"], {}, 5)) !== 0) throw new Error("the build failed");
  if (needs.mongod !== undefined) await findMongod(needs.mongod === "any" ? {} : { version: needs.mongod });
}

/**
 * Runs the files of `run`. What fails beside others is run once more alone, because servers are started, killed and
 * waited for here: a fault of the program fails again, a busy machine does not. Either way it is said.
 */
async function runTests(run: TestRun, workers: number, scratch: string): Promise<Counts> {
  const settings = Object.entries(run.env).map(([name, value]) => `${name}="${value}" `);
  console.log(`\n── ${run.name}: ${settings.join("")}bun test ${run.files.join(" ")}`);
  try {
    await prepare(run);
  } catch (error) {
    console.log(`── ${run.name}: not run: ${error instanceof Error ? error.message : String(error)}`);
    return { ...NOTHING, failed: run.files.length };
  }
  const started = performance.now();
  const first = await runFiles(run, run.files, workers, scratch);
  const broken = brokenFiles(first);
  let counts = countTests(first);
  if (broken.length > 0 && broken.length <= MOST_AGAIN) {
    console.log(`\n── ${run.name}: again, alone: ${broken.join(" ")}`);
    const second = countTests(await runFiles(run, broken, 1, scratch));
    if (second.failed === 0) console.log(`── ${run.name}: passed when run alone: ${broken.join(" ")}`);
    counts = { ...plus(countTests(without(broken, first)), second), silent: second.silent };
  }
  for (const file of counts.silent) console.log(`── ${run.name}: ${file} ran no test`);
  console.log(`── ${run.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return counts;
}

/** More broken files than this are no accident of a busy machine. */
const MOST_AGAIN = 5;

async function runFiles(run: TestRun, chosen: readonly string[], workers: number, scratch: string): Promise<Outcome> {
  const report = join(scratch, "report.xml");
  rmSync(report, { force: true });
  // One process runs file after file, so that they share the server it started. It forgets what test/setup.ts said of
  // time after the first one.
  // The time limit of test/setup.ts holds for the first file of a process only.
  const flags = [
    "--no-orphans",
    "--only-failures",
    "--timeout=60000",
    `--parallel=${workers}`,
    "--no-isolate",
    "--timeout=60000",
  ];
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const files = chosen.map((file) => `./${file}`);
  const exitCode = await execute(["test", ...flags, ...reporter, ...files], run.env, run.limitMinutes);
  return { report: readIfThere(report), exitCode, files: chosen };
}

function summary(name: string, { passed, failed, skipped }: Counts): string {
  const columns = [`${passed} ok`, failed > 0 ? `${failed} FAILED` : "", skipped > 0 ? `${skipped} skipped` : ""];
  return `${name.padEnd(24)}  ${columns.join("  ").trimEnd()}`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // The run died before it could write: counted by the caller.
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      unit: { type: "boolean", default: false },
      versions: { type: "boolean", default: false },
      workers: { type: "string", default: "2" },
    },
    allowPositionals: true,
  });
  const files = findTests(ROOT, positionals);
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
      const counts = await runTests(run, Number(values.workers), scratch);
      total = plus(total, counts);
      results.push(summary(run.name, counts));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (runs.length === 0) console.log(`no test file matches ${positionals.join(" ")}`);
  console.log(`\n${results.join("\n")}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

process.exitCode = await main();
