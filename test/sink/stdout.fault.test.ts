import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { programsOf, ROOT } from "./programs.ts";
import { scratch } from "./sinks.ts";
import { lineOf, SCRIPT, type StdoutJob } from "./stdout-script.ts";

setDefaultTimeout(60_000); // a busy machine

const programs = programsOf(SCRIPT);
afterAll(() => programs[Symbol.dispose]());

for (const program of programs.all) {
  const argv = (job: StdoutJob): string[] => [program.command, ...program.args, JSON.stringify(job)];
  const quoted = (job: StdoutJob): string =>
    argv(job)
      .map((word) => `'${word}'`)
      .join(" ");
  const shell = (script: string): { status: number | null; stdout: string; stderr: string } =>
    spawnSync("bash", ["-c", `set -o pipefail; ${script}`], { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 28 });
  const expected = (lines: number): string => Array.from({ length: lines }, (_, index) => lineOf(index)).join("");

  /** With a pipe as stdout, whose reader sleeps first. */
  const intoPipe = (job: StdoutJob, sleepSeconds: number): ChildProcess =>
    spawn("bash", ["-c", `exec ${quoted(job)} 1> >(sleep ${sleepSeconds}; exec cat >&3)`], {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
  /** With a socket as stdout, as every child of a Node or Bun program has it. */
  const intoSocket = (job: StdoutJob): ChildProcess =>
    spawn(program.command, argv(job).slice(1), { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });

  test(`openStdoutSink() delivers every byte through a slow pipe (${program.name})`, async () => {
    const child = intoPipe({ lines: 30_000 }, 0.3);
    const [text, said] = await Promise.all([textOf(child.stdio[3]), textOf(child.stderr)]);
    expect(said).toBe("opened\ndone\n");
    expect(text === expected(30_000)).toBeTrue();
  });

  test(`openStdoutSink() delivers every byte through a slow socket (${program.name})`, async () => {
    const child = intoSocket({ lines: 30_000 });
    const said = textOf(child.stderr);
    await sleep(300);
    expect((await textOf(child.stdout)) === expected(30_000)).toBeTrue();
    expect(await said).toBe("opened a socket\ndone\n");
  });

  for (const [what, start] of [
    ["pipe", () => intoPipe({ lines: 100_000 }, 5)],
    ["socket", () => intoSocket({ lines: 100_000 })],
  ] as const) {
    test(`openStdoutSink() lets the process end at once while the ${what} is stuck (${program.name})`, async () => {
      const child = start();
      let said = "";
      child.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
      while (!said.includes("opened")) await sleep(10);
      await sleep(300);
      child.kill("SIGTERM");
      // Nothing reads: a process that waited for its reader would never end. The limit allows for a busy machine.
      const ended = await Promise.race([once(child, "exit"), sleep(15_000)]);
      child.kill("SIGKILL");
      expect(ended?.[0]).toBe(143);
      expect(said).toEndWith("stopped\n");
    });
  }

  test(`openStdoutSink() says that the reader is gone (${program.name})`, () => {
    const head = shell(`${quoted({ lines: 100_000 })} | head -1`);
    expect(head).toMatchObject({
      status: 141,
      stdout: lineOf(0),
      stderr: "opened\npipe: the reader of stdout is gone\n",
    });
    const none = shell(`(sleep 0.2; exec ${quoted({ lines: 1 })}) | true`);
    expect(none).toMatchObject({ status: 141, stderr: "opened\npipe: the reader of stdout is gone\n" });
  });

  test(`openStdoutSink() says that a device is full (${program.name})`, () => {
    const full = shell(`${quoted({ lines: 10 })} > /dev/full`);
    expect(full.status).toBe(8);
    expect(full.stderr).toContain("output: cannot write to stdout: no space left on the device");
  });

  test(`openStdoutSink() refuses a stdout that keeps nothing where that would lose documents (${program.name})`, () => {
    for (const redirect of [">&-", "> /dev/null"]) {
      expect(shell(`${quoted({ lines: 1, refuseNull: true })} ${redirect}`)).toMatchObject({ status: 8 });
      expect(shell(`${quoted({ lines: 1 })} ${redirect}`)).toMatchObject({ status: 0 });
    }
  });

  test(`openStdoutSink() shares a file with the other commands of a shell (${program.name})`, () => {
    using dir = scratch();
    const out = dir.at("out");
    expect(shell(`(echo before; ${quoted({ lines: 5000 })}; echo after) > '${out}'`)).toMatchObject({ status: 0 });
    expect(readFileSync(out, "utf8")).toBe(`before\n${expected(5000)}after\n`);
  });
}

async function textOf(stream: unknown): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
