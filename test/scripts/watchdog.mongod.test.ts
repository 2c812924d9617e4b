/** When a process ends, for whatever reason, its servers end and their files are removed. */
import { expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isAlive } from "../support/processes.ts";
import { waitFor } from "../support/wait.ts";

interface Started {
  readonly child: ChildProcess;
  readonly pids: readonly number[];
  readonly folders: readonly string[];
}

async function startElsewhere(...flags: readonly string[]): Promise<Started> {
  const script = fileURLToPath(new URL("./server-process.ts", import.meta.url));
  const child = spawn(process.execPath, [...flags, script], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const chunk of child.stdout) {
    return { child, ...(JSON.parse(String(chunk)) as Omit<Started, "child">) };
  }
  throw new Error("it printed nothing");
}

/** Resolves when everything is gone; rejects if something stays. */
async function nothingIsLeft({ pids, folders }: Started): Promise<void> {
  await waitFor(() => !pids.some(isAlive), { what: "the servers to end" });
  await waitFor(() => !folders.some((folder) => existsSync(folder)), { what: "the folders to go" });
}

test("after kill -9 no server and no folder is left, not even of a suspended server", async () => {
  const started = await startElsewhere();
  expect(started.pids).toHaveLength(2);
  expect(started.pids.every(isAlive)).toBe(true);
  expect(started.folders.every((folder) => existsSync(folder))).toBe(true);
  started.child.kill("SIGKILL");
  await nothingIsLeft(started);
});

test("a runner that kills all its descendants at its end leaves no folder either", async () => {
  const started = await startElsewhere("--no-orphans");
  started.child.kill("SIGTERM");
  await nothingIsLeft(started);
});
