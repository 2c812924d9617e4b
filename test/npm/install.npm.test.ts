/** The npm packages, installed into a project as a user would: the command, and the recipe of the README. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findMongod } from "../../scripts/mongod.ts";
import { NOTICES_FILE } from "../../scripts/npm/manifests.ts";
import { isAlive } from "../support/processes.ts";
import { testDatabase } from "../support/replica-set.ts";
import type { TempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { installFromArchives, ROOT } from "./project.ts";

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };

const NODE = execFileSync("node", ["--print", "process.execPath"], { encoding: "utf8" }).trim();

let project: TempDir;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  project = await installFromArchives();
  const mongod = await findMongod();
  env = { ...process.env, ...mongod.env, MONGOTAP_MONGOD: mongod.path };
}, 120_000);
afterAll(async () => {
  await project[Symbol.asyncDispose]();
});

interface Result {
  readonly status: number | null;
  readonly output: string;
}

function run(program: string, ...args: string[]): Result {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: project.path, env, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

test.each(["npx --no-install", "bunx --no-install", "bunx --bun --no-install"])("%s mongotap runs the binary", (by) => {
  const [program = "", ...args] = by.split(" ");
  const bunx = join(ROOT, "node_modules/.bin/bunx");
  const { status, output } = run(program === "bunx" ? bunx : program, ...args, "mongotap", "--version");
  expect({ status, output }).toMatchObject({ status: 0, output: expect.stringContaining(version) as string });
  expect(output.split("\n")).toHaveLength(2);
});

test("the package of a binary has the notices of the software in it", () => {
  const [name = ""] = readdirSync(project.join("node_modules/@mongotap"));
  const { output } = run("node_modules/.bin/mongotap", "--licenses");
  expect(readFileSync(project.join("node_modules/@mongotap", name, NOTICES_FILE), "utf8")).toBe(output);
});

test("the exit code of the binary is that of the command", () => {
  expect(run("node_modules/.bin/mongotap", "no-such-command").status).toBe(2);
});

const RUNNERS = {
  "node --test": { program: "node", args: ["--test"], module: "node:test" },
  "bun test": { program: process.execPath, args: ["test"], module: "bun:test" },
} as const;

/** Writes the recipe of the README for one test runner, and runs it as docs/testing.md says. */
function runRecipe(runner: keyof typeof RUNNERS, change = (text: string): string => text): Result {
  const { program, args, module } = RUNNERS[runner];
  const text = readFileSync(join(import.meta.dirname, "recipe.mjs"), "utf8").replace('"node:test"', `"${module}"`);
  writeFileSync(project.join("orders.test.mjs"), change(text));
  return run(program, ...args);
}

test.each(["node --test", "bun test"] as const)(
  "the recipe of the README passes under %s",
  (runner) => {
    const { status, output } = runRecipe(runner);
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toMatch(/^(# pass 1| *1 pass)$/m);
  },
  60_000,
);

test.each(["node --test", "bun test"] as const)(
  "the recipe fails under %s where the code changes less",
  (runner) => {
    const { status, output } = runRecipe(runner, (text) => text.replace("await placeOrder(uri, 7);", ""));
    expect(status).toBe(1);
    expect(output).toMatch(/^(# fail 1| *1 fail)$/m);
  },
  60_000,
);

test("docs/testing.md gives each runner the file, the second line and the command that are tried here", () => {
  const text = readFileSync(join(ROOT, "docs/testing.md"), "utf8");
  for (const [runner, { module }] of Object.entries({ ...RUNNERS, Vitest: { module: "vitest" } })) {
    expect(text).toContain(`| ${runner} | \`import { test } from "${module}";\` | \`orders.test.mjs\` | \``);
  }
});

test("the recipe has twelve lines", () => {
  const text = readFileSync(join(import.meta.dirname, "recipe.mjs"), "utf8");
  expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(12);
});

function startCommand(args: readonly string[], uri: string): { child: ChildProcess; code: Promise<number | null> } {
  const child = spawn(project.join("node_modules/.bin/mongotap"), args, {
    cwd: project.path,
    env: { ...env, MONGOTAP_URI: uri },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  child.stdout.resume();
  return { child, code: new Promise((resolve) => child.once("exit", resolve)) };
}

test("Ctrl-C, which reaches the script and the binary, ends a tail in good order", async () => {
  const { uri, name } = await testDatabase();
  const state = project.join("tail.state");
  const { child, code } = startCommand(["tail", name, "--allow-missing", "--state", state], uri);
  try {
    await waitFor(() => existsSync(state), { what: "the first position" });
    process.kill(-Number(child.pid), "SIGINT");
    expect(await code).toBe(0);
  } finally {
    if (child.exitCode === null) process.kill(-Number(child.pid), "SIGKILL");
  }
});

/** What startReplicaSet() says where there is no mongod on the machine. */
function failureWithoutServer(): string {
  const code = `import { startReplicaSet } from "mongotap/testing"; await startReplicaSet().catch((e) => console.log(e.message));`;
  const others = { MONGOTAP_MONGOD: "", PATH: project.join("empty"), MONGOTAP_CACHE: project.join("cache") };
  const { stdout } = spawnSync(NODE, ["--input-type=module", "--eval", code], {
    cwd: project.path,
    env: { ...env, ...others, MONGOMS_DOWNLOAD_MIRROR: "http://127.0.0.1:1", MONGOMS_USE_HTTP: "1" },
    encoding: "utf8",
  });
  return stdout;
}

test("without a mongod startReplicaSet() downloads one by mongodb-memory-server-core, or says that it is missing", () => {
  expect(failureWithoutServer()).toMatch(
    /^No mongod found; set MONGOTAP_MONGOD to one\. .*: it is not installed: npm install --save-dev mongodb-memory-server-core\n$/,
  );
  const name = "mongodb-memory-server-core";
  symlinkSync(join(ROOT, "node_modules", name), project.join("node_modules", name));
  expect(failureWithoutServer()).toMatch(/mongodb-memory-server-core \(8\.\d+\.\d+\): .*ECONNREFUSED/);
});

const WAITING = `
import { recordChanges, startReplicaSet } from "mongotap/testing";
const { uri } = await startReplicaSet();
const recorder = await recordChanges(uri, "shop");
await recorder.next();
`;

test("when a test process is killed under Node.js, its server, its recorder and their files go too", async () => {
  const TMPDIR = project.join("tmp");
  mkdirSync(TMPDIR);
  const child = spawn("node", ["--input-type=module", "--eval", WAITING], {
    cwd: project.path,
    env: { ...env, TMPDIR },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const pids = await childrenOf(child.pid);
  expect(pids).toHaveLength(2);
  expect(readdirSync(TMPDIR)).toHaveLength(3); // of the server, of the recorder, of the watchdog
  child.kill("SIGKILL");
  await waitFor(() => !pids.some(isAlive), { what: "the server and the recorder to end" });
  await waitFor(() => readdirSync(TMPDIR).length === 0, { what: "the folders to go" });
}, 60_000);

/** The processes that `parent` has started, once the run of `next()` is one of them. */
async function childrenOf(parent: number | undefined): Promise<number[]> {
  const children = (): string[] => readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === parent);
  await waitFor(() => children().some((pid) => textOf(`/proc/${pid}/cmdline`).includes("--limit")), { what: "next()" });
  return children().map(Number);
}

function parentOf(pid: string): number {
  const stat = textOf(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2]);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the process has ended
  }
}
