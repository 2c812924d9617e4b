/** The black-box runner, with shell scripts as the program under test. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod, open, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CANARY, run, start } from "../support/cli.ts";
import { commandUnderTest, splitWords } from "../support/command.ts";
import { rejectionOf } from "../support/rejection.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

let dir: TempDir;
let setting: string | undefined;

beforeEach(async () => {
  dir = await tempDir();
  setting = process.env["MONGOTAP"];
});

afterEach(async () => {
  if (setting === undefined) delete process.env["MONGOTAP"];
  else process.env["MONGOTAP"] = setting;
  await dir[Symbol.asyncDispose]();
});

/** Makes this shell script the program under test. */
async function useProgram(script: string): Promise<void> {
  const path = dir.join("my program");
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  process.env["MONGOTAP"] = `'${path}'`;
}

test("splitWords() splits as a shell does", () => {
  expect(splitWords(`a  'b c' "d \\"e\\"" f\\ g h"i"'j' ""`)).toEqual(["a", "b c", 'd "e"', "f g", "hij", ""]);
  expect(() => splitWords(`a 'b`)).toThrow("an open quote");
});

test("commandUnderTest() takes the pinned runtime and absolute paths, so that any folder will do", () => {
  const root = resolve(import.meta.dirname, "../..");
  const deno = commandUnderTest("deno run -A package.json");
  expect(deno).toEqual({
    program: join(root, "node_modules/.bin/deno"),
    args: ["run", "-A", join(root, "package.json")],
  });
  expect(commandUnderTest(undefined).program).toBe(join(root, "node_modules/.bin/bun"));
});

test("run() resolves with code, output and time, and feeds stdin", async () => {
  await useProgram(`echo "args: $*"; cat; echo problem >&2; pwd; exit 3`);
  const result = await run(["one", "two words"], { stdin: "input\n", cwd: dir.path });
  expect(result).toMatchObject({ code: 3, signal: null, stderr: "problem\n" });
  expect(result.stdout).toBe(`args: one two words\ninput\n${dir.path}\n`);
  expect(result.ms).toBeGreaterThan(0);
});

test("run() gives the program no setting of the test suite", async () => {
  await useProgram("env");
  const { stdout } = await run([], { env: { MONGOTAP_URI: "mine", HOME: undefined, EXTRA: "1" } });
  const names = stdout.split("\n").map((line) => line.split("=")[0]);
  expect(names.filter((name) => name?.startsWith("MONGOTAP"))).toEqual(["MONGOTAP_URI"]);
  expect(names).toContain("EXTRA");
  expect(names).not.toContain("HOME");
});

test("run() fails when the secret appears on stdout or stderr, unless it is allowed", async () => {
  await useProgram(`echo "login failed for root:${CANARY}@host" >&2`);
  expect((await rejectionOf(run(["--check"]))).message).toMatch(
    /--check printed the secret on its stderr: …login failed/,
  );
  await useProgram(`printf %s 'canary-S3cr3t'; sleep 0.1; echo '${CANARY.slice("canary-S3cr3t".length)}'`);
  expect((await rejectionOf(run([]))).message).toContain("on its stdout");
  expect((await run([], { allowCanary: true })).stdout).toBe(`${CANARY}\n`);
});

test("run() kills a program that takes too long, and reports its output", async () => {
  await useProgram("echo begun; exec sleep 60");
  const failure = await rejectionOf(run([], { timeoutMs: 300 }));
  expect(failure.message).toMatch(/killed after 300 ms.*begun/);
});

test("run() names the program that cannot be started", async () => {
  process.env["MONGOTAP"] = dir.join("missing");
  expect((await rejectionOf(run([]))).message).toContain("does MONGOTAP name the program under test?");
});

test("start() yields lines as they come, finds one, and ends the program with a signal", async () => {
  await useProgram(`trap 'echo bye; exit 0' TERM; echo one; echo two; echo ready >&2; while :; do sleep 0.05; done`);
  await using cli = start([]);
  expect(await cli.waitForLine((line) => line.startsWith("t"))).toBe("two");
  expect(await cli.waitForStderr((line) => line === "ready")).toBe("ready");
  const seen: string[] = [];
  for await (const line of cli.lines) {
    seen.push(line);
    if (line === "two") cli.kill("SIGTERM");
  }
  expect(seen).toEqual(["one", "two", "bye"]);
  expect(await cli.done).toMatchObject({ code: 0, signal: null, stdout: "one\ntwo\nbye\n" });
  cli.kill("SIGKILL");
});

test("waitForLine() rejects when the program ends, or the time is over, without such a line", async () => {
  await useProgram("echo only; echo reason >&2; sleep 0.2");
  await using cli = start([]);
  expect((await rejectionOf(cli.waitForLine((line) => line === "other", 50))).message).toContain(
    "no such line in 50 ms",
  );
  const message = (await rejectionOf(cli.waitForLine((line) => line === "other"))).message;
  expect(message).toMatch(/ended without such a line.*only.*reason/);
});

test("a program that still runs at the end of the block is killed", async () => {
  await useProgram("exec sleep 60");
  const cli = start([]);
  {
    await using _ended = cli;
  }
  expect(await cli.done).toMatchObject({ code: null, signal: "SIGKILL" });
  expect(() => process.kill(cli.pid, 0)).toThrow("ESRCH");
});

test("a paused stdout makes the program wait, and nothing is lost when it goes on", async () => {
  const mark = dir.join("written");
  await useProgram(`i=0; while [ $i -lt 100 ]; do head -c 10000 /dev/zero; i=$((i+1)); done; touch '${mark}'`);
  await using cli = start([], { paused: true });
  await Bun.sleep(300);
  expect(existsSync(mark)).toBe(false);
  cli.resumeStdout();
  await waitFor(() => existsSync(mark), { what: "the program to go on" });
  expect((await cli.done).stdoutBytes.length).toBe(1_000_000);
});

test("a closed stdout is what the program sees of `| head -1`", async () => {
  await useProgram(`echo first; while echo more; do :; done; exit 9`);
  await using cli = start([], { paused: true });
  cli.resumeStdout();
  await cli.waitForLine((line) => line === "first");
  cli.closeStdout();
  const { code, signal } = await cli.done;
  expect(code === 9 || signal === "SIGPIPE").toBe(true);
});

test("stdout may go into an open file", async () => {
  await useProgram("echo into the file");
  const file = await open(dir.join("out"), "w");
  await using cli = start([], { stdout: file.fd });
  expect(await cli.done).toMatchObject({ code: 0, stdout: "" });
  await file.close();
  expect(await readFile(dir.join("out"), "utf8")).toBe("into the file\n");
});
