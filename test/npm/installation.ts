/** Installations of the npm package in a temporary folder, with a shell script in the place of the binary. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packagesFor } from "../../npm/binary.ts";
import { guardProcess } from "../../npm/mongod/watchdog.ts";
import { buildLibrary } from "../../scripts/npm/library.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The platform package of this machine, as an installation names it. */
export const [PACKAGE = ""] = packagesFor({ platform: process.platform, arch: process.arch, hasFile: () => true });

/** The runtimes that run the script of the package. */
export const RUNTIMES = { node: "node", bun: process.execPath } as const;

/** A folder with `node_modules/mongotap` in it, and `binary` (a shell script) as the binary, unless that is undefined. */
export async function install(binary: string | undefined): Promise<TempDir> {
  const dir = await tempDir();
  const manifest = { name: "mongotap", type: "module", optionalDependencies: { [PACKAGE]: "1.0.0" } };
  write(dir.join("node_modules/mongotap/package.json"), JSON.stringify(manifest));
  await buildLibrary(ROOT, dir.join("node_modules/mongotap/lib"));
  if (binary === undefined) return dir;
  write(dir.join("node_modules", PACKAGE, "package.json"), JSON.stringify({ name: PACKAGE, version: "1.0.0" }));
  write(dir.join("node_modules", PACKAGE, "mongotap"), `#!/bin/sh\n${binary}\n`);
  return dir;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o755 });
}

export interface ScriptRun {
  readonly child: ChildProcess;
  /** Resolves with the first text of standard output. */
  readonly first: Promise<string>;
  readonly done: Promise<{ readonly code: number | null; readonly signal: string | null; readonly output: string }>;
}

/** After this the script and the binary are killed. */
const TIMEOUT_MS = 20_000;

/** Runs the script of the package in `dir`, in a process group of its own. `output` is both streams, one behind the other. */
export function runScript(dir: TempDir, runtime: keyof typeof RUNTIMES, args: readonly string[] = []): ScriptRun {
  const child = spawn(RUNTIMES[runtime], [dir.join("node_modules/mongotap/lib/bin.js"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${RUNTIMES[runtime]}`);
  const release = guardProcess(pid);
  const timer = setTimeout(() => process.kill(-pid, "SIGKILL"), TIMEOUT_MS);
  const texts = { stdout: "", stderr: "" };
  const first = new Promise<string>((resolve) => child.stdout.once("data", (chunk) => resolve(String(chunk))));
  child.stdout.on("data", (chunk) => (texts.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (texts.stderr += String(chunk)));
  const done = new Promise<Awaited<ScriptRun["done"]>>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      release();
      clearTimeout(timer);
      resolve({ code, signal, output: texts.stdout + texts.stderr });
    });
  });
  return { child, first, done };
}
