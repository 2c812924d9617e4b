import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Program, programsOf, ROOT } from "../sink/programs.ts";
import { type LockJob, SCRIPT } from "./lock-script.ts";

setDefaultTimeout(60_000); // a busy machine

const programs = programsOf(SCRIPT);
afterAll(() => programs[Symbol.dispose]());

function scratch(): Disposable & { readonly path: string; readonly state: string } {
  const path = mkdtempSync(join(tmpdir(), "mongotap-lock-"));
  return {
    path,
    state: join(path, "state.json"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

function argsOf(program: Program, job: LockJob): string[] {
  return [...program.args, JSON.stringify(job)];
}

async function holder(program: Program, job: LockJob): Promise<ChildProcess> {
  const child = spawn(program.command, argsOf(program, job), { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  expect(said.toString()).toBe("held\n");
  return child;
}

for (const first of programs.all) {
  for (const second of programs.all) {
    test(`acquireLock() in ${second.name} respects a lock of ${first.name}, until that is killed`, async () => {
      using dir = scratch();
      const child = await holder(first, { path: dir.state });
      // No input: who gets the lock against all promises ends at once instead of waiting to be told.
      const refused = spawnSync(second.command, argsOf(second, { path: dir.state }), {
        cwd: ROOT,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      });
      expect(refused.status).toBe(75);
      expect(refused.stdout).toStartWith(`locked: ${dir.state}.lock is held by process ${child.pid} on `);
      child.kill("SIGKILL");
      await once(child, "exit");
      const next = await holder(second, { path: dir.state });
      next.stdin?.write("\n");
      expect(await once(next, "exit")).toEqual([0, null]);
      expect(readdirSync(dir.path)).toEqual([]);
    });
  }
}

test("acquireLock() never lets two in, however often it is taken and given back", async () => {
  using dir = scratch();
  const file = join(dir.path, "counter");
  writeFileSync(file, "0");
  const rounds = { count: 300, file };
  const contenders = programs.all.map((program) =>
    spawn(program.command, argsOf(program, { path: dir.state, waitMs: 60_000, rounds }), {
      cwd: ROOT,
      stdio: "inherit",
    }),
  );
  const codes = await Promise.all(contenders.map(async (child) => (await once(child, "exit")) as unknown[]));
  expect(codes).toEqual(contenders.map(() => [0, null]));
  expect(readFileSync(file, "utf8")).toBe(String(rounds.count * contenders.length));
  expect(readdirSync(dir.path)).toEqual(["counter"]);
});
