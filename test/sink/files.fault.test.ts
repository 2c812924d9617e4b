import { afterAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import { batchOf, type CrashJob, SCRIPT } from "./crash-script.ts";
import { type Program, programsOf, ROOT } from "./programs.ts";
import { contents, scratch } from "./sinks.ts";

const programs = programsOf(SCRIPT);
afterAll(() => programs[Symbol.dispose]());

const KINDS = [
  { kind: "file", seals: true },
  { kind: "file", seals: false },
  { kind: "directory", seals: true },
  { kind: "directory", seals: false },
] as const;
/** For each kind of output. */
const KILLS = { bun: 30, binary: 15, deno: 15 } as const;
/** From before the script runs to far into its work. */
const LONGEST_LIFE_MS = { bun: 120, binary: 120, deno: 240 } as const;
const BATCHES = 150;

for (const program of programs.all) {
  test(`kill -9 at any moment leaves the files of an undisturbed run (${program.name})`, async () => {
    let kills = 0;
    const chain = async (kind: (typeof KINDS)[number]): Promise<void> => {
      for (let left = KILLS[program.name]; left > 0;) {
        const died = await killUntilDone(program, kind, left);
        kills += died;
        left -= died;
      }
    };
    await Promise.all(KINDS.map(chain));
    expect(kills).toBe(KILLS[program.name] * KINDS.length);
  });
}

/** One job from its beginning to its end, with up to `most` deaths on the way; resolves to how many there were. */
async function killUntilDone(program: Program, kind: (typeof KINDS)[number], most: number): Promise<number> {
  using dir = scratch();
  const job: CrashJob = { ...kind, out: dir.at("out"), state: dir.at("state.json"), batches: BATCHES, commitEvery: 3 };
  let kills = 0;
  for (let code: number | null = null; code === null;) {
    code = await live(program, job, kills < most ? Math.random() * LONGEST_LIFE_MS[program.name] : Infinity);
    if (code === null) kills += 1;
    else expect(code).toBe(0);
    await expectCovered(job);
  }
  const files = contents(dir.path);
  delete files["state.json"];
  expect(files).toEqual(expectedOf(job));
  return kills;
}

/** Runs the script for `lifeMs`; resolves to its exit code, null when it was killed. */
async function live(program: Program, job: CrashJob, lifeMs: number): Promise<number | null> {
  const child = spawn(program.command, [...program.args, JSON.stringify(job)], { cwd: ROOT, stdio: "inherit" });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  if (lifeMs === Infinity) return await ended;
  await Promise.race([ended, sleep(lifeMs)]);
  child.kill("SIGKILL");
  return await ended;
}

/** The state can be read, and never claims more than the files hold. */
async function expectCovered(job: CrashJob): Promise<void> {
  const saved = await loadCheckpoint(job.state);
  for (const mark of saved?.outputs ?? []) {
    const isPartial = mark.partial !== undefined && existsSync(`${mark.path}.partial`);
    const { size } = statSync(isPartial ? `${mark.path}.partial` : mark.path);
    expect(size).toBeGreaterThanOrEqual(mark.bytes);
  }
}

function expectedOf(job: CrashJob): Record<string, string> {
  const files: Record<string, string> = {};
  for (let index = 0; index < job.batches; index += 1) {
    for (const [namespace, line] of batchOf(index)) {
      const name = job.kind === "file" ? "out" : `out/${namespace}.ndjson`;
      files[name] = (files[name] ?? "") + line;
    }
  }
  return files;
}
