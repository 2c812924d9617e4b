import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../scripts/lib/random.ts";
import { loadCheckpoint } from "../../src/state/checkpoint.ts";
import { batchOf, type CrashJob, SCRIPT } from "./crash-script.ts";
import { randomFor } from "../support/random.ts";
import { canMount, runShell, smallDisk } from "../support/small-disk.ts";
import { type Program, programsOf, ROOT } from "./programs.ts";
import { contents, scratch } from "./sinks.ts";

setDefaultTimeout(60_000); // a busy machine

const programs = programsOf(SCRIPT);
afterAll(() => programs[Symbol.dispose]());

const KINDS = [
  { kind: "file", finalizes: true, isBehind: false },
  { kind: "file", finalizes: false, isBehind: true },
  { kind: "directory", finalizes: true, isBehind: true },
  { kind: "directory", finalizes: false, isBehind: false },
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
      const random = randomFor(`files ${program.name} ${JSON.stringify(kind)}`);
      for (let left = KILLS[program.name]; left > 0;) {
        const died = await killUntilDone({ program, kind, random }, left);
        kills += died;
        left -= died;
      }
    };
    await Promise.all(KINDS.map(chain));
    expect(kills).toBe(KILLS[program.name] * KINDS.length);
  });
}

// What kill -9 cannot show: the order in which bytes, names and the state reach the disk.
test.if(runShell("strace true").status === 0)("bytes and names are durable before the state that covers them", () => {
  for (const kind of KINDS) {
    using dir = scratch();
    const paths = { out: dir.at("o/out"), state: dir.at("s/state.json") };
    const job: CrashJob = { ...kind, ...paths, batches: 9, commitEvery: 3 };
    mkdirSync(dir.at("o"));
    mkdirSync(dir.at("s"));
    const [program] = programs.all;
    if (program === undefined) throw new Error("no program");
    const trace = `strace -f -qq -y -e trace=write,pwrite64,openat,fsync,fdatasync,rename -o '${dir.at("trace")}'`;
    expect(runShell(`${trace} ${wordsOf(program, job)}`).status).toBe(0);
    const saves = expectOrder(readFileSync(dir.at("trace"), "utf8"), dir.path);
    expect(saves).toBe(5);
  }
});

test.if(runShell("strace true").status === 0)(
  "a finished backfill of more files than are held open is durable, each of them",
  () => {
    using dir = scratch();
    const script = `
    import { openFileSink } from "${ROOT}/src/sink/files.ts";
    const outputs = Array.from({ length: 420 }, (_, i) => ({ kind: "collection", namespace: "app.c" + i }));
    const target = { kind: "directory", path: "${dir.at("out")}" };
    await using sink = await openFileSink({ target, outputs, marks: [], finalizes: true, replace: true, hasState: false });
    for (const key of outputs) await sink.write(Buffer.from("1\\n"), [{ key, begin: 0, end: 2, lines: 1 }]);
    await sink.finalize();`;
    writeFileSync(dir.at("script.ts"), script);
    const trace = `strace -f -qq -y -e trace=fdatasync -o '${dir.at("trace")}'`;
    expect(runShell(`${trace} '${process.execPath}' '${dir.at("script.ts")}'`)).toMatchObject({ status: 0 });
    const synced = [...readFileSync(dir.at("trace"), "utf8").matchAll(/<([^>]*\.ndjson)\.partial>/g)].map(
      ([, path]) => path,
    );
    expect(new Set(synced).size).toBe(420);
  },
);

/** The calls in the order in which they came to their ends: strace tells begin and end apart where threads overlap. */
function completedCalls(trace: string): string[] {
  const begun = new Map<string, string>();
  return trace.split("\n").flatMap((line) => {
    const [, thread = "", text = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (text.endsWith("<unfinished ...>")) {
      begun.set(thread, text.slice(0, -"<unfinished ...>".length));
      return [];
    }
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    return [rest === undefined ? text : (begun.get(thread) ?? "") + rest];
  });
}

/** Follows the system calls below `directory`; returns how often the state was renamed into its place. */
function expectOrder(trace: string, directory: string): number {
  const unsynced = new Set<string>();
  let saves = 0;
  for (const line of completedCalls(trace)) {
    if (!line.includes(directory) || / = -1 /.test(line)) continue;
    const [call = ""] = /^\w+/.exec(line) ?? [];
    const [, path = ""] = /<([^>]*)>/.exec(line) ?? [];
    if (call === "write" || call === "pwrite64") unsynced.add(path);
    if (call === "openat" && line.includes("O_CREAT")) unsynced.add(dirname(/"([^"]*)"/.exec(line)?.[1] ?? ""));
    if (call === "fsync" || call === "fdatasync") unsynced.delete(path);
    if (call !== "rename") continue;
    const [, from = "", to = ""] = /"([^"]*)", "([^"]*)"/.exec(line) ?? [];
    if (to.endsWith("state.json")) {
      saves += 1;
      unsynced.delete(dirname(to)); // the name of the temporary file, which is gone
      expect([...unsynced]).toEqual([]);
    }
    expect(unsynced.has(from)).toBeFalse();
    unsynced.add(dirname(to));
  }
  expect([...unsynced].filter((path) => path.endsWith("/s"))).toEqual([]);
  return saves;
}

for (const program of programs.all) {
  test(`a file that may not grow is an error, and the next run goes on from there (${program.name})`, () => {
    for (const kind of KINDS) {
      using dir = scratch();
      const job: CrashJob = {
        ...kind,
        out: dir.at("out"),
        state: dir.at("state.json"),
        batches: BATCHES,
        commitEvery: 3,
      };
      const limited = runLimited(program, job, 16);
      if (program.name === "deno") expect(limited.signal ?? limited.status).toBe("SIGXFSZ"); // it cannot be ignored there
      else {
        expect(limited.status).toBe(8);
        expect(limited.stderr).toStartWith(`output: cannot write to ${dir.at("out")}`);
        expect(limited.stderr).toEndWith(": the file would be larger than the system allows (ulimit -f)\n");
      }
      expect(runLimited(program, job, "unlimited")).toMatchObject({ status: 0 });
      expectFiles(dir.path, job);
    }
  });
}

// Needs the right to mount; the limit above shows the same for those who have it not.
test.if(canMount())("a full disk is an error, and the next run goes on from there", () => {
  const [program] = programs.all;
  if (program === undefined) throw new Error("no program");
  for (const kind of KINDS) {
    using dir = scratch();
    using disk = smallDisk(dir.at("disk"), "128k");
    const paths = { out: dir.at("disk/out"), state: dir.at("state.json") };
    const job: CrashJob = { ...kind, ...paths, batches: BATCHES, commitEvery: 3 };
    const full = runLimited(program, job, "unlimited");
    expect(full.stderr).toContain("no space left on the device");
    expect(full).toMatchObject({ status: 8 });
    for (const text of Object.values(contents(dir.at("disk")))) expect(text).toMatch(/^$|\n$/);
    disk.resize("2m");
    expect(runLimited(program, job, "unlimited")).toMatchObject({ status: 0 });
    expectFiles(dir.path, job, "disk/");
  }
});

test.if(canMount())("saveCheckpoint() on a full disk leaves the state of before and nothing else", async () => {
  const [program] = programs.all;
  if (program === undefined) throw new Error("no program");
  using dir = scratch();
  using disk = smallDisk(dir.at("disk"), "64k");
  const paths = { out: dir.at("out"), state: dir.at("disk/state.json") };
  const job: CrashJob = { kind: "file", finalizes: false, isBehind: false, ...paths, batches: 6, commitEvery: 3 };
  expect(runLimited(program, job, "unlimited")).toMatchObject({ status: 0 });
  const before = readFileSync(job.state, "utf8");
  disk.fill();
  const full = runLimited(program, { ...job, batches: 12 }, "unlimited");
  expect(full).toMatchObject({ status: 8 });
  expect(full.stderr).toBe(`output: cannot save the state file ${job.state}: no space left on the device\n`);
  expect(readFileSync(job.state, "utf8")).toBe(before);
  expect(readdirSync(dir.at("disk")).toSorted()).toEqual(["filler", "state.json"]);
  rmSync(dir.at("disk/filler"));
  expect(runLimited(program, { ...job, batches: 12 }, "unlimited")).toMatchObject({ status: 0 });
  expectFiles(dir.path, { ...job, batches: 12 });
});

function runLimited(program: Program, job: CrashJob, kibibytes: number | "unlimited"): ReturnType<typeof runShell> {
  return runShell(`ulimit -f ${kibibytes} && exec ${wordsOf(program, job)}`);
}

/** The command line for a shell. */
function wordsOf(program: Program, job: CrashJob): string {
  return [program.command, ...program.args, JSON.stringify(job)].map((word) => `'${word}'`).join(" ");
}

interface Chain {
  readonly program: Program;
  readonly kind: (typeof KINDS)[number];
  /** Chooses how long each run lives. */
  readonly random: Random;
}

/** One job from its beginning to its end, with up to `most` deaths on the way; resolves to how many there were. */
async function killUntilDone({ program, kind, random }: Chain, most: number): Promise<number> {
  using dir = scratch();
  const job: CrashJob = { ...kind, out: dir.at("out"), state: dir.at("state.json"), batches: BATCHES, commitEvery: 3 };
  let kills = 0;
  for (let code: number | null = null; code === null;) {
    code = await live(program, job, kills < most ? random.between(0, LONGEST_LIFE_MS[program.name]) : Infinity);
    if (code === null) kills += 1;
    else expect(code).toBe(0);
    await expectCovered(job);
  }
  expectFiles(dir.path, job);
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

/** Below `directory` there are the files of an undisturbed run, and the state. */
function expectFiles(directory: string, job: CrashJob, prefix = ""): void {
  const expected: Record<string, string> = {};
  for (let index = 0; index < job.batches; index += 1) {
    for (const [namespace, line] of batchOf(index)) {
      const name = prefix + (job.kind === "file" ? "out" : `out/${namespace}.ndjson`);
      expected[name] = (expected[name] ?? "") + line;
    }
  }
  const { "state.json": _state, "disk/state.json": _other, ...files } = contents(directory);
  expect(files).toEqual(expected);
}
