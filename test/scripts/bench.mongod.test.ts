/** scripts/bench.ts as a whole, with few documents. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadResults } from "../../scripts/bench/results.ts";
import { tempDir } from "../support/temp.ts";

const ROOT = join(import.meta.dirname, "../..");

async function bench(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, join(ROOT, "scripts/bench.ts"), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

test("bench.ts measures a backfill and a tail, prints tables, and keeps the results", async () => {
  await using folder = await tempDir();
  const results = folder.join("results.ndjson");
  const sizes = ["--quick", "--documents", "1000", "--events", "1000", "--rounds", "1", "--results", results];
  const done = await bench(...sizes, "--only", "backfill,tail", "--shapes", "typical", "--without", "mongod,mongoe");
  expect(done.exitCode, done.stderr).toBe(0);
  expect(done.stdout).toContain("bare drain, by _id");
  expect(done.stdout).toContain("not measured: Debezium");
  const kept = loadResults(results);
  expect(Object.keys(kept)).toEqual(["backfill", "tail"]);
  expect(kept["backfill"]?.command).toBe(
    "bun scripts/bench.ts --quick --only backfill,tail --shapes typical --documents 1000 --events 1000 --rounds 1",
  );
  expect(JSON.stringify(kept)).not.toContain(folder.path);
}, 180_000); // it compiles two programs and starts a server

test.each([
  [["--only", "nothing"], "bench: --only takes some of backfill, "],
  [["--shapes", "typical,odd"], "bench: --shapes takes some of typical, "],
  [["--rounds", "none"], "bench: --rounds takes a whole number\n"],
  [["--no-such-option"], "bench: Unknown option '--no-such-option'"],
])("bench.ts refuses %j in one line, before anything is started", async (args, line) => {
  const done = await bench(...args);
  expect(done.exitCode).toBe(2);
  expect(done.stderr).toStartWith(line);
  expect(done.stderr.trim().split("\n")).toHaveLength(1);
});
